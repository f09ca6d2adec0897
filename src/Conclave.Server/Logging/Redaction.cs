using System.Text.RegularExpressions;
using Serilog.Core;
using Serilog.Events;

namespace Conclave.Server.Logging;

/// <summary>Keeps secrets out of logs: values of properties whose names say so, and passwords inside connection strings.</summary>
internal sealed partial class Redaction : ILogEventEnricher
{
    /// <summary>What stands where a secret was.</summary>
    public const string Mask = "***";

    private static readonly ScalarValue MaskValue = new(Mask);
    private static readonly string[] Words = ["password", "secret", "apikey", "authorization", "connectionstring"];

    /// <inheritdoc/>
    public void Enrich(LogEvent logEvent, ILogEventPropertyFactory propertyFactory)
    {
        List<LogEventProperty>? changed = null;
        foreach (var (name, value) in logEvent.Properties)
        {
            if (Value(name, value) is { } other) (changed ??= []).Add(new LogEventProperty(name, other));
        }
        if (changed is null) return;
        foreach (var property in changed)
            logEvent.AddOrUpdateProperty(property);
    }

    /// <summary>Masks the passwords of connection strings within a text.</summary>
    public static string Text(string text) =>
        text.Contains("password", StringComparison.OrdinalIgnoreCase) || text.Contains("pwd", StringComparison.OrdinalIgnoreCase)
            ? PasswordInText().Replace(text, "$1=" + Mask)
            : text;

    /// <summary>What a value becomes; null when it may stay.</summary>
    private static LogEventPropertyValue? Value(string name, LogEventPropertyValue value)
    {
        if (IsSecret(name, value)) return MaskValue;
        switch (value)
        {
            case ScalarValue { Value: string text }:
                var safe = Text(text);
                return ReferenceEquals(safe, text) ? null : new ScalarValue(safe);
            case StructureValue structure:
                var members = structure.Properties.Select(p => (p.Name, p.Value, Other: Value(p.Name, p.Value))).ToList();
                return members.Exists(m => m.Other is not null)
                    ? new StructureValue(members.Select(m => new LogEventProperty(m.Name, m.Other ?? m.Value)), structure.TypeTag)
                    : null;
            case DictionaryValue dictionary:
                var entries = dictionary.Elements
                    .Select(e => (e.Key, e.Value, Other: Value(e.Key.Value?.ToString() ?? "", e.Value))).ToList();
                return entries.Exists(e => e.Other is not null)
                    ? new DictionaryValue(entries.Select(e =>
                        new KeyValuePair<ScalarValue, LogEventPropertyValue>(e.Key, e.Other ?? e.Value)))
                    : null;
            case SequenceValue sequence:
                var elements = sequence.Elements.Select(e => (Value: e, Other: Value("", e))).ToList();
                return elements.Exists(e => e.Other is not null)
                    ? new SequenceValue(elements.Select(e => e.Other ?? e.Value))
                    : null;
            default:
                return null;
        }
    }

    private static bool IsSecret(string name, LogEventPropertyValue value)
    {
        // "token" is the shortest word.
        if (name.Length < 5) return false;
        Span<char> plain = name.Length <= 128 ? stackalloc char[name.Length] : new char[name.Length];
        var length = 0;
        foreach (var character in name)
        {
            if (char.IsLetterOrDigit(character)) plain[length++] = char.ToLowerInvariant(character);
        }
        var word = (ReadOnlySpan<char>)plain[..length];
        foreach (var secret in Words)
        {
            if (word.Contains(secret, StringComparison.Ordinal)) return true;
        }
        // Models count tokens; a number is no credential.
        return word.Contains("token", StringComparison.Ordinal) &&
            value is not ScalarValue { Value: int or long or double or decimal or bool or TimeSpan or null };
    }

    [GeneratedRegex("""\b(password|pwd)\s*=\s*("[^"]*"|'[^']*'|[^;\s"']+)""", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex PasswordInText();
}
