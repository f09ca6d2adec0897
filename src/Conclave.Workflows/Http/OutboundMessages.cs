namespace Conclave.Workflows.Http;

/// <summary>A request to send. The body is in memory, so that it can be sent again.</summary>
/// <param name="Method">HTTP method in upper case.</param>
/// <param name="Url">Absolute URL, http or https.</param>
public sealed record OutboundRequest(string Method, Uri Url)
{
    /// <summary>Headers of the request and of its body, except those that the connection decides.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    /// <summary>Body; null for none.</summary>
    public byte[]? Body { get; init; }

    /// <summary>Media type of the body.</summary>
    public string? ContentType { get; init; }
}

/// <summary>An answer, body included.</summary>
/// <param name="Url">Where it came from, after redirects.</param>
/// <param name="StatusCode">HTTP status.</param>
/// <param name="ReasonPhrase">Text of the status; empty when the protocol has none.</param>
/// <param name="Headers">Headers of the answer; names ignore case.</param>
/// <param name="ContentHeaders">Headers of the body; names ignore case.</param>
/// <param name="Body">Body, decompressed.</param>
public sealed record OutboundResponse(
    Uri Url,
    int StatusCode,
    string ReasonPhrase,
    IReadOnlyDictionary<string, string[]> Headers,
    IReadOnlyDictionary<string, string[]> ContentHeaders,
    byte[] Body)
{
    /// <summary>Media type of the body with its parameters; null when the server did not say.</summary>
    public string? ContentType => ContentHeaders.TryGetValue("Content-Type", out var values) ? values[0] : null;
}
