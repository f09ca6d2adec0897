using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Workflows.Http;

/// <summary>Reads headers that authors give, and refuses those that would change the message's framing or target.</summary>
internal static class HeaderRules
{
    /// <summary>RFC 9110 section 5.6.2, <c>token</c>.</summary>
    private static readonly SearchValues<char> Token =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly FrozenSet<string> Framing = FrozenSet.ToFrozenSet(
        ["Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade"],
        StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string> OfRequests = FrozenSet.ToFrozenSet(
        Framing.Append("Host").Append("Expect").Append("Proxy-Authorization"), StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a JSON object, or its text, whose values are a text, a number, a flag or a list of those.</summary>
    /// <exception cref="WorkflowException">The value is no such object.</exception>
    public static List<KeyValuePair<string, string>> Read(JsonElement json, string input)
    {
        var headers = new List<KeyValuePair<string, string>>();
        if (json.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null
            || (json.ValueKind == JsonValueKind.String && string.IsNullOrWhiteSpace(json.GetString())))
            return headers;
        if (json.ValueKind != JsonValueKind.Object)
            throw Bad($"{input} must be a JSON object such as {{\"Accept\": \"application/json\"}}, not {json.ValueKind.ToString().ToLowerInvariant()}.");
        foreach (var property in json.EnumerateObject())
        {
            if (property.Value.ValueKind == JsonValueKind.Object)
                throw Bad($"Header '{property.Name}' in {input} must be a text or a list of texts.");
            foreach (var value in ValueConverter.Enumerate(ValueConverter.FromJson(property.Value)))
                headers.Add(new(property.Name, ValueConverter.ToText(value) ?? ""));
        }

        return headers;
    }

    /// <summary>Checks a header of a request.</summary>
    /// <exception cref="WorkflowException">The header is not allowed.</exception>
    public static void CheckRequest(string name, string value) => Check(name, value, OfRequests);

    /// <summary>Checks a header of an answer.</summary>
    /// <exception cref="WorkflowException">The header is not allowed.</exception>
    public static void CheckResponse(string name, string value) => Check(name, value, Framing);

    /// <summary>Whether a text may be a method or the name of a header.</summary>
    public static bool IsToken(string text) => text.Length > 0 && !text.AsSpan().ContainsAnyExcept(Token);

    /// <summary>The first value of a header; null when it is missing.</summary>
    public static string? Find(IEnumerable<KeyValuePair<string, string>> headers, string name)
    {
        foreach (var header in headers)
        {
            if (header.Key.Equals(name, StringComparison.OrdinalIgnoreCase))
                return header.Value;
        }

        return null;
    }

    private static void Check(string name, string value, FrozenSet<string> forbidden)
    {
        if (!IsToken(name))
            throw Bad($"'{Printable(name)}' is not a header name: only letters, digits and -_.!#$%&'*+^`|~ are allowed.");
        if (forbidden.Contains(name))
            throw Bad($"The header '{name}' cannot be set: it follows from the URL, the content and the connection. Remove it.");
        foreach (var character in value)
        {
            if (char.IsControl(character) && character != '\t')
                throw Bad($"The value of header '{name}' contains the control character U+{(int)character:X4}. Line breaks are not allowed in headers.");
        }
    }

    private static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) ? '\uFFFD' : c));

    private static WorkflowException Bad(string message) => new("http.bad_header", message) { IsPermanent = true };
}
