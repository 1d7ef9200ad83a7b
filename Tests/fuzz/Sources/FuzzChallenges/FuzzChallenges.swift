// FuzzChallenges.swift: libFuzzer's inputs to the oracle of challenges.
import CFuzzer
import FuzzOracles
import Glibc

@main
enum FuzzChallenges {
    static func main() {
        var count = CommandLine.argc
        // SAFETY: the arguments live as long as the process.
        var arguments = unsafe Optional(CommandLine.unsafeArgv)
        // SAFETY: libFuzzer lends `size` bytes at `data` for the time of the call.
        let status = unsafe LLVMFuzzerRunDriver(&count, &arguments) { data, size in
            unsafe FuzzOracles.checkChallenges(UnsafeBufferPointer(start: data, count: size).span)
            return 0
        }
        exit(status)
    }
}
