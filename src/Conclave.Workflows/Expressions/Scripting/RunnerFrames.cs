using System.Buffers;
using System.Buffers.Binary;

namespace Conclave.Workflows.Expressions.Scripting;

/// <summary>Frame kinds; <c>src/script-runner/README.md</c> describes the protocol.</summary>
internal static class FrameKind
{
    public const byte Script = 1;
    public const byte Liquid = 2;
    public const byte Schema = 3;
    public const byte Reply = 4;
    public const byte Cancel = 5;
    public const byte Analysis = 6;
    public const byte Ready = 16;
    public const byte Result = 17;
    public const byte Error = 18;
    public const byte Call = 19;
    public const byte Leaving = 20;
    public const byte Started = 21;
}

/// <summary>What a frame starts with: payload length (u32), kind (u8), request id (u32), little-endian.</summary>
internal readonly record struct FrameHeader(int Length, byte Kind, uint Id)
{
    public const int Size = 9;

    public static FrameHeader Read(ReadOnlySpan<byte> source) => new(
        BinaryPrimitives.ReadInt32LittleEndian(source),
        source[4],
        BinaryPrimitives.ReadUInt32LittleEndian(source[5..]));

    public void Write(Span<byte> target)
    {
        BinaryPrimitives.WriteInt32LittleEndian(target, Length);
        target[4] = Kind;
        BinaryPrimitives.WriteUInt32LittleEndian(target[5..], Id);
    }
}

/// <summary>A growing buffer of pooled memory.</summary>
internal sealed class PooledBuffer : IBufferWriter<byte>
{
    private byte[] _bytes = [];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, Length);

    public void Advance(int count) => Length += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsMemory(Length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsSpan(Length);
    }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        Length += bytes.Length;
    }

    public void AppendFrame(byte kind, uint id, ReadOnlySpan<byte> payload)
    {
        new FrameHeader(payload.Length, kind, id).Write(GetSpan(FrameHeader.Size));
        Length += FrameHeader.Size;
        Append(payload);
    }

    public void Clear()
    {
        Length = 0;
        // One large request must not pin its memory for the life of the runner.
        if (_bytes.Length > 1024 * 1024) Release();
    }

    public void Release()
    {
        Length = 0;
        if (_bytes.Length > 0) ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = [];
    }

    private void Reserve(int count)
    {
        var needed = Length + Math.Max(count, 256);
        if (needed <= _bytes.Length) return;
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, 2 * _bytes.Length));
        Written.CopyTo(larger);
        if (_bytes.Length > 0) ArrayPool<byte>.Shared.Return(_bytes);
        _bytes = larger;
    }
}
