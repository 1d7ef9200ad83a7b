// FuzzReplies.swift: libFuzzer's inputs to the oracle of replies.
import CFuzzer
import FuzzOracles

/// SwiftPM names the main function of an executable after its target.
@_cdecl("FuzzReplies_main")
public func main(
    _ argumentCount: Int32,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> Int32 {
    var count = argumentCount
    var list = unsafe arguments
    // SAFETY: libFuzzer lends `size` bytes at `data` for the time of the call.
    return unsafe LLVMFuzzerRunDriver(&count, &list) { data, size in
        unsafe FuzzOracles.checkReplies(UnsafeBufferPointer(start: data, count: size).span)
        return 0
    }
}
