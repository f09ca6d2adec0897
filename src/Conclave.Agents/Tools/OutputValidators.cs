using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Conclave.Agents.Tools;

/// <summary>Makes outputs fit for models and logs: secrets masked, characters that hide something taken out, too long texts cut.</summary>
public sealed partial class OutputValidators(Func<IEnumerable<string>> secrets)
{
    /// <summary>What stands for a secret.</summary>
    public const string Mask = "[secret]";

    private const int ShortestSecret = 8;

    // Models read it, not browsers: what need not be escaped is not.
    private static readonly JsonWriterOptions ReadableJson = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Cleans an output.</summary>
    /// <param name="output">The output.</param>
    /// <param name="mostBytes">What is kept of it.</param>
    /// <param name="found">Receives what was changed: <c>secrets</c>, <c>control characters</c>, <c>cut</c>.</param>
    public JsonElement Clean(JsonElement output, int mostBytes, ISet<string> found)
    {
        if (output.ValueKind == JsonValueKind.Undefined)
            return output;
        var known = secrets().Where(s => s.Length >= ShortestSecret).ToList();
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, ReadableJson))
            Write(writer, output, known, found);
        if (buffer.WrittenCount <= mostBytes)
            return JsonElement.Parse(buffer.WrittenSpan);
        found.Add("cut");
        // Half an object is none: what is left is its text.
        var clean = JsonElement.Parse(buffer.WrittenSpan);
        var text = clean.ValueKind == JsonValueKind.String ? clean.GetString()! : clean.GetRawText();
        var kept = Cut(text, mostBytes);
        return JsonSerializer.SerializeToElement(
            string.Create(CultureInfo.InvariantCulture, $"{kept}\n[The output was cut: {kept.Length:N0} of {text.Length:N0} characters are shown.]"), ToolJson.Default.String);
    }

    /// <summary>Cleans a text, such as an error.</summary>
    public string Clean(string text, ISet<string> found) => Clean(text, [.. secrets().Where(s => s.Length >= ShortestSecret)], found);

    private static void Write(Utf8JsonWriter writer, JsonElement value, List<string> known, ISet<string> found)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var member in value.EnumerateObject())
                {
                    writer.WritePropertyName(Clean(member.Name, known, found));
                    Write(writer, member.Value, known, found);
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in value.EnumerateArray())
                    Write(writer, item, known, found);
                writer.WriteEndArray();
                break;
            case JsonValueKind.String:
                writer.WriteStringValue(Clean(Text(value), known, found));
                break;
            default:
                value.WriteTo(writer);
                break;
        }
    }

    // Half a surrogate pair, which scripts may give, is no text for .NET.
    private static string Text(JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return value.GetRawText();
        }
    }

    private static string Clean(string text, List<string> known, ISet<string> found)
    {
        var clean = Visible(text);
        if (clean.Length != text.Length)
            found.Add("control characters");
        var masked = known.Aggregate(clean, (current, secret) => current.Replace(secret, Mask, StringComparison.Ordinal));
        masked = Secrets().Replace(masked, match => match.Groups["keep"].Value + Mask);
        if (!ReferenceEquals(masked, clean) && masked != clean)
            found.Add("secrets");
        return masked;
    }

    /// <summary>Without escape sequences of terminals, control characters, what changes the direction of text, and characters that are invisible on purpose.</summary>
    private static string Visible(string text)
    {
        if (!text.AsSpan().ContainsAnyExceptInRange(' ', '~') && !text.Contains('\u001b', StringComparison.Ordinal))
            return text;
        text = Escapes().Replace(text, "");
        var builder = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.Value is '\n' or '\t' || (rune.Value == '\r' && text.Contains("\r\n", StringComparison.Ordinal)))
                builder.Append(rune);
            else if (!Rune.IsControl(rune) && rune.Value is not ((>= 0x202A and <= 0x202E) or (>= 0x2066 and <= 0x2069) or (>= 0xE0000 and <= 0xE007F) or 0x200B or 0x2060 or 0xFEFF))
                builder.Append(rune);
        }

        return builder.ToString();
    }

    private static string Cut(string text, int mostBytes)
    {
        if (Encoding.UTF8.GetByteCount(text) <= mostBytes)
            return text;
        Encoding.UTF8.GetEncoder().Convert(text, new byte[mostBytes], flush: false, out var used, out _, out _);
        return text[..used];
    }

    [GeneratedRegex(@"\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])", RegexOptions.CultureInvariant)]
    private static partial Regex Escapes();

    // Sources: the published formats of GitHub, AWS, Google, Slack, Stripe, OpenAI and Anthropic keys; PEM; JSON Web Tokens; the server's own keys.
    [GeneratedRegex(
        @"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{35}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,}|\bck_[0-9a-f]{32,}|\bwhsec_[A-Za-z0-9+/=]{24,}|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|(?<keep>(?i:bearer\s+|(?:password|passwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token)[""']?\s*[:=]\s*[""']?))[^\s""',;]{8,}|(?<keep>://[^\s:/@]{1,64}:)[^\s:/@]{3,}(?=@)",
        RegexOptions.CultureInvariant)]
    private static partial Regex Secrets();
}
