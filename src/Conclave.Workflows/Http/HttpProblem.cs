using System.Net;
using System.Text.Json;

namespace Conclave.Workflows.Http;

/// <summary>Writes refusals as RFC 9457 problems.</summary>
public static class HttpProblem
{
    /// <summary>Media type of problems.</summary>
    public const string ContentType = "application/problem+json";

    /// <summary>The body of an answer that refuses a request.</summary>
    /// <param name="status">HTTP status.</param>
    /// <param name="code">Stable code; listed in <c>docs/errors.md</c>.</param>
    /// <param name="detail">What is wrong, for the caller.</param>
    public static byte[] Write(int status, string code, string detail)
    {
        using var phrase = new HttpResponseMessage((HttpStatusCode)status);
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("type", "about:blank");
            writer.WriteString("title", phrase.ReasonPhrase ?? "Refused");
            writer.WriteNumber("status", status);
            writer.WriteString("detail", detail);
            writer.WriteString("code", code);
            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }
}
