// FrameWriter.swift: one frame at the end of a buffer: room first, payload packed in place, header filled in
// after.
// Owns: the order of those steps. Never touches: what messages mean. Source: DESIGN "The protocol".
import Model

extension ByteBuffer {
    /// Appends one frame whose payload `pack` writes.
    /// - Parameters:
    ///   - type: goes into the header, as do the next two.
    ///   - stream: 0 for the session itself.
    ///   - endsStream: the flag.
    ///   - bound: bytes that `pack` writes at most. More is a fault of ours and traps, as memory was
    ///   overwritten.
    ///   - payloadBytesMax: of the other side.
    ///   - pack: writes at the pointer and returns how many bytes.
    /// - Returns: whether the payload is small enough; else nothing is appended.
    @discardableResult
    mutating func appendFrame(
        _ type: FrameType,
        stream: UInt32,
        endsStream: Bool = false,
        bound: Int,
        payloadBytesMax: Int = .max,
        pack: (UnsafeMutablePointer<UInt8>) -> Int
    ) -> Bool {
        var fits = false
        append(upTo: FrameHeader.byteCount + bound) { output in
            // SAFETY: the memory has room for header and bound, as asked for; its bytes up to `count` are
            // written.
            unsafe output.withUnsafeMutableBufferPointer { memory, count in
                let start = unsafe memory.baseAddress.unsafelyUnwrapped + count
                let payloadBytes = unsafe pack(start + FrameHeader.byteCount)
                precondition(payloadBytes <= bound, "a payload over its bound")
                fits = payloadBytes <= payloadBytesMax
                if !fits { return }
                let words = FrameHeader.words(
                    payloadBytes: payloadBytes,
                    stream: stream,
                    type: type,
                    endsStream: endsStream
                )
                let header = UnsafeMutableRawPointer(start)
                unsafe header.storeBytes(of: words.0, as: UInt64.self)
                unsafe header.storeBytes(of: words.1, toByteOffset: 8, as: UInt32.self)
                count += FrameHeader.byteCount + payloadBytes
            }
        }
        return fits
    }

    /// Appends a BODY frame up to its `count` bytes of data.
    mutating func appendBodyFront(_ count: Int, stream: UInt32) {
        let lengthBytes = BodyPlace.varintBytes(count)
        let words = FrameHeader.words(
            payloadBytes: 1 + lengthBytes + count,
            stream: stream,
            type: .body,
            endsStream: false
        )
        append(upTo: FrameHeader.byteCount + 1 + lengthBytes) { output in
            // The words hold their bytes in the order of memory.
            for index in 0..<8 { output.append(UInt8(truncatingIfNeeded: words.0 >> (8 * index))) }
            for index in 0..<4 { output.append(UInt8(truncatingIfNeeded: words.1 >> (8 * index))) }
            output.append(BodyPlace.key)
            for index in 0..<lengthBytes {
                let more: UInt8 = index == lengthBytes - 1 ? 0 : 0x80
                output.append(UInt8(truncatingIfNeeded: count >> (7 * index)) & 0x7f | more)
            }
        }
    }

    /// Appends one BODY frame with up to `countMax` bytes that `read` puts in place; nothing when that is
    /// nothing. Returns how many bytes `read` added.
    mutating func appendBodyFrame(
        upTo countMax: Int,
        stream: UInt32,
        endsStream: Bool,
        read: (inout OutputSpan<UInt8>) -> Void
    ) -> Int {
        let lengthBytes = BodyPlace.varintBytes(countMax)
        let prefixBytes = 1 + lengthBytes
        var added = 0
        append(upTo: FrameHeader.byteCount + prefixBytes + countMax) { output in
            // SAFETY: `data` is the part of the memory behind header and prefix, lent to `read` for its call
            // only; `finalize` says how much of it is written. Header and prefix are written before they are
            // counted.
            unsafe output.withUnsafeMutableBufferPointer { memory, count in
                let start = count + FrameHeader.byteCount + prefixBytes
                let data = unsafe UnsafeMutableBufferPointer(rebasing: memory[start..<start + countMax])
                var span = unsafe OutputSpan(buffer: data, initializedCount: 0)
                read(&span)
                added = unsafe span.finalize(for: data)
                if added == 0 { return }
                let words = FrameHeader.words(
                    payloadBytes: prefixBytes + added,
                    stream: stream,
                    type: .body,
                    endsStream: endsStream
                )
                let header = unsafe UnsafeMutableRawPointer(memory.baseAddress.unsafelyUnwrapped + count)
                unsafe header.storeBytes(of: words.0, as: UInt64.self)
                unsafe header.storeBytes(of: words.1, toByteOffset: 8, as: UInt32.self)
                let prefix = unsafe header + FrameHeader.byteCount
                unsafe prefix.storeBytes(of: BodyPlace.key, as: UInt8.self)
                for index in 0..<lengthBytes {
                    let more: UInt8 = index == lengthBytes - 1 ? 0 : 0x80
                    let byte = UInt8(truncatingIfNeeded: added >> (7 * index)) & 0x7f | more
                    unsafe prefix.storeBytes(of: byte, toByteOffset: 1 + index, as: UInt8.self)
                }
                count = start + added
            }
        }
        return added
    }
}

extension OutputSpan<UInt8> {
    /// Appends a copy of `bytes`. Traps without room for them.
    @inline(__always)
    mutating func append(copying bytes: Span<UInt8>) {
        precondition(bytes.count <= freeCapacity, "append past the end")
        if bytes.isEmpty { return }
        // SAFETY: there is room behind `count`; the two memories do not overlap, as `self` is held
        // exclusively.
        unsafe withUnsafeMutableBufferPointer { memory, count in
            unsafe bytes.withUnsafeBufferPointer { bytes in
                let end = unsafe memory.baseAddress.unsafelyUnwrapped + count
                unsafe end.initialize(from: bytes.baseAddress.unsafelyUnwrapped, count: bytes.count)
            }
            count += bytes.count
        }
    }
}
