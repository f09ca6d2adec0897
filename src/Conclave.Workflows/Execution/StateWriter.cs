using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Execution;

/// <summary>Kinds of values in persisted state. Numbers are part of the format and never change.</summary>
internal enum ValueTag : byte
{
    Null = 0,
    True = 1,
    False = 2,
    Int32 = 3,
    Int64 = 4,
    Double = 5,
    Decimal = 6,
    String = 7,
    Guid = 8,
    DateTime = 9,
    DateTimeOffset = 10,
    TimeSpan = 11,
    Bytes = 12,
    Json = 13,
    Uri = 14,
    Single = 15,

    /// <summary>A text, bytes or JSON kept outside the state: the kind of the value, then the hash of its bytes.</summary>
    Large = 16,
}

/// <summary>Writes persisted state: little-endian, lengths and numbers as variable-length integers.</summary>
internal ref struct StateWriter(IBufferWriter<byte> buffer, LargeStateValues? large = null)
{
    public readonly void Byte(byte value)
    {
        buffer.GetSpan(1)[0] = value;
        buffer.Advance(1);
    }

    public readonly void Bool(bool value) => Byte(value ? (byte)1 : (byte)0);

    public readonly void Int(int value) => Long(value);

    /// <summary>A signed number, zigzag-encoded so that small negatives stay small.</summary>
    public readonly void Long(long value) => Unsigned((ulong)((value << 1) ^ (value >> 63)));

    public readonly void Unsigned(ulong value)
    {
        var span = buffer.GetSpan(10);
        var length = 0;
        while (value >= 0x80)
        {
            span[length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        span[length++] = (byte)value;
        buffer.Advance(length);
    }

    public readonly void Text(string? value)
    {
        if (value is null)
        {
            Unsigned(0);
            return;
        }

        var length = Encoding.UTF8.GetByteCount(value);
        Unsigned((ulong)length + 1);
        Encoding.UTF8.GetBytes(value, buffer.GetSpan(length));
        buffer.Advance(length);
    }

    public readonly void Bytes(ReadOnlySpan<byte> value)
    {
        Unsigned((ulong)value.Length);
        buffer.Write(value);
    }

    public readonly void Date(DateTimeOffset value)
    {
        Long(value.UtcTicks);
        Int((int)value.Offset.TotalMinutes);
    }

    /// <summary>A workflow value. Lists and maps of other types are written as JSON.</summary>
    public readonly void Value(object? value)
    {
        switch (value)
        {
            case null: Tag(ValueTag.Null); break;
            case bool flag: Tag(flag ? ValueTag.True : ValueTag.False); break;
            case int number: Tag(ValueTag.Int32); Int(number); break;
            case short number: Tag(ValueTag.Int32); Int(number); break;
            case byte number: Tag(ValueTag.Int32); Int(number); break;
            case long number: Tag(ValueTag.Int64); Long(number); break;
            case double number: Tag(ValueTag.Double); Fixed(BitConverter.DoubleToInt64Bits(number)); break;
            case float number: Tag(ValueTag.Single); Fixed(BitConverter.DoubleToInt64Bits(number)); break;
            case decimal number: Tag(ValueTag.Decimal); Number(number); break;
            case string text when IsLarge(text.Length): Large(ValueTag.String, Encoding.UTF8.GetBytes(text)); break;
            case string text: Tag(ValueTag.String); Text(text); break;
            case Guid guid: Tag(ValueTag.Guid); buffer.Write(guid.ToByteArray()); break;
            case DateTime date: Tag(ValueTag.DateTime); Long(date.ToBinary()); break;
            case DateTimeOffset date: Tag(ValueTag.DateTimeOffset); Date(date); break;
            case TimeSpan span: Tag(ValueTag.TimeSpan); Long(span.Ticks); break;
            case byte[] bytes when IsLarge(bytes.Length): Large(ValueTag.Bytes, bytes); break;
            case byte[] bytes: Tag(ValueTag.Bytes); Bytes(bytes); break;
            case Uri uri: Tag(ValueTag.Uri); Text(uri.OriginalString); break;
            case Enum choice: Tag(ValueTag.String); Text(choice.ToString()); break;
            case JsonElement { ValueKind: JsonValueKind.Undefined }: Tag(ValueTag.Null); break;
            case JsonElement json: Json(json); break;
            default: Json(ValueConverter.ToJson(value)); break;
        }
    }

    private readonly bool IsLarge(int length) => large is not null && length > LargeStateValues.Limit;

    private readonly void Json(JsonElement json)
    {
        var raw = JsonMarshal.GetRawUtf8Value(json);
        if (IsLarge(raw.Length))
        {
            Large(ValueTag.Json, raw.ToArray());
            return;
        }

        Tag(ValueTag.Json);
        Bytes(raw);
    }

    private readonly void Large(ValueTag kind, byte[] content)
    {
        Tag(ValueTag.Large);
        Tag(kind);
        buffer.Write(Convert.FromHexString(large!.Add(content)));
    }

    private readonly void Tag(ValueTag tag) => Byte((byte)tag);

    private readonly void Fixed(long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(buffer.GetSpan(8), value);
        buffer.Advance(8);
    }

    private readonly void Number(decimal value)
    {
        Span<int> bits = stackalloc int[4];
        decimal.GetBits(value, bits);
        foreach (var part in bits)
            Int(part);
    }
}

/// <summary>Reads what <see cref="StateWriter"/> wrote.</summary>
/// <remarks>Throws <see cref="InvalidDataException"/> on anything that cannot be right; never reads past the end.</remarks>
internal ref struct StateReader(ReadOnlySpan<byte> data, IReadOnlyDictionary<string, byte[]>? large = null)
{
    private ReadOnlySpan<byte> _rest = data;

    public readonly bool IsAtEnd => _rest.IsEmpty;

    public byte Byte() => Take(1)[0];

    public bool Bool() => Byte() != 0;

    public int Int()
    {
        var value = Long();
        return value is < int.MinValue or > int.MaxValue ? throw Corrupt() : (int)value;
    }

    public long Long()
    {
        var value = Unsigned();
        return (long)(value >> 1) ^ -(long)(value & 1);
    }

    public ulong Unsigned()
    {
        ulong value = 0;
        for (var shift = 0; shift < 70; shift += 7)
        {
            var next = Byte();
            value |= (ulong)(next & 0x7F) << shift;
            if ((next & 0x80) == 0)
                return value;
        }

        throw Corrupt();
    }

    /// <summary>A number of items, which cannot exceed the bytes left.</summary>
    public int Count()
    {
        var count = Unsigned();
        return count > (ulong)_rest.Length ? throw Corrupt() : (int)count;
    }

    public string? Text()
    {
        var length = Unsigned();
        return length == 0 ? null : Encoding.UTF8.GetString(Take(length - 1));
    }

    public ReadOnlySpan<byte> Bytes() => Take(Unsigned());

    public DateTimeOffset Date()
    {
        var ticks = Long();
        var offset = TimeSpan.FromMinutes(Int());
        return new DateTimeOffset(ticks, TimeSpan.Zero).ToOffset(offset);
    }

    public object? Value() => (ValueTag)Byte() switch
    {
        ValueTag.Null => null,
        ValueTag.True => ValueConverter.Box(true),
        ValueTag.False => ValueConverter.Box(false),
        ValueTag.Int32 => Int(),
        ValueTag.Int64 => Long(),
        ValueTag.Double => BitConverter.Int64BitsToDouble(BinaryPrimitives.ReadInt64LittleEndian(Take(8))),
        ValueTag.Single => (float)BitConverter.Int64BitsToDouble(BinaryPrimitives.ReadInt64LittleEndian(Take(8))),
        ValueTag.Decimal => new decimal([Int(), Int(), Int(), Int()]),
        ValueTag.String => Text(),
        ValueTag.Guid => new Guid(Take(16)),
        ValueTag.DateTime => DateTime.FromBinary(Long()),
        ValueTag.DateTimeOffset => Date(),
        ValueTag.TimeSpan => new TimeSpan(Long()),
        ValueTag.Bytes => Bytes().ToArray(),
        ValueTag.Json => JsonElement.Parse(Bytes(), new JsonDocumentOptions { MaxDepth = 512 }),
        ValueTag.Large => ReadLarge(),
        ValueTag.Uri => new Uri(Text() ?? "", UriKind.RelativeOrAbsolute),
        _ => throw Corrupt(),
    };

    /// <summary>Passes over a value.</summary>
    public void SkipValue()
    {
        switch ((ValueTag)Byte())
        {
            case ValueTag.Null or ValueTag.True or ValueTag.False: break;
            case ValueTag.Int32 or ValueTag.Int64 or ValueTag.DateTime or ValueTag.TimeSpan: Unsigned(); break;
            case ValueTag.Double or ValueTag.Single: Take(8); break;
            case ValueTag.Decimal: SkipNumbers(4); break;
            case ValueTag.DateTimeOffset: SkipNumbers(2); break;
            case ValueTag.String or ValueTag.Uri: SkipText(); break;
            case ValueTag.Guid: Take(16); break;
            case ValueTag.Bytes or ValueTag.Json: Bytes(); break;
            case ValueTag.Large: Take(1 + LargeStateValues.HashLength); break;
            default: throw Corrupt();
        }
    }

    /// <summary>Passes over a text.</summary>
    public void SkipText()
    {
        if (Unsigned() is > 0 and var length)
            Take(length - 1);
    }

    private void SkipNumbers(int count)
    {
        for (; count > 0; count--)
            Unsigned();
    }

    private object ReadLarge()
    {
        var kind = (ValueTag)Byte();
        var hash = Convert.ToHexStringLower(Take(LargeStateValues.HashLength));
        if (large is null)
            throw new LargeValuesNeededException();
        if (!large.TryGetValue(hash, out var content))
            throw Corrupt();
        return kind switch
        {
            ValueTag.String => Encoding.UTF8.GetString(content),
            ValueTag.Bytes => content,
            ValueTag.Json => JsonElement.Parse(content, new JsonDocumentOptions { MaxDepth = 512 }),
            _ => throw Corrupt(),
        };
    }

    public static InvalidDataException Corrupt() =>
        new("The stored state of the instance is damaged or was written by a newer version of the engine.");

    private ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)_rest.Length)
            throw Corrupt();
        var taken = _rest[..(int)length];
        _rest = _rest[(int)length..];
        return taken;
    }
}
