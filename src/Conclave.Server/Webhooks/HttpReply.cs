using System.Text;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Http;
using Microsoft.Extensions.Primitives;

namespace Conclave.Server.Webhooks;

/// <summary>
/// The answer of a workflow to an HTTP request, held until what the workflow did is stored: nobody gets an answer for something that did not
/// happen. It can be stored itself, for callers that ask again with the same idempotency key.
/// </summary>
/// <param name="request">The request that is answered; null when nobody asks for its headers.</param>
public sealed class HttpReply(HttpRequestData? request = null) : IHttpExchange
{
    private const byte Format = 1;

    private static readonly Dictionary<string, string[]> NoHeaders = [];

    private int _isAnswered;

    /// <summary>Whether there is an answer.</summary>
    public bool IsAnswered => Volatile.Read(ref _isAnswered) != 0;

    /// <summary>Whether the answer is that the endpoint does not take the request: a workflow that it was to start must not be stored.</summary>
    public bool IsRefusal { get; private set; }

    /// <summary>HTTP status; 0 before the answer.</summary>
    public int StatusCode { get; private set; }

    /// <summary>Media type; null for none.</summary>
    public string? ContentType { get; private set; }

    /// <summary>More headers.</summary>
    public IReadOnlyDictionary<string, string[]> Headers { get; private set; } = NoHeaders;

    /// <summary>Body.</summary>
    public ReadOnlyMemory<byte> Content { get; private set; }

    /// <summary>An answer that no workflow gave.</summary>
    public static HttpReply Of(int statusCode, string? contentType, IReadOnlyDictionary<string, string[]> headers, ReadOnlyMemory<byte> content)
    {
        var reply = new HttpReply();
        reply.Answer(statusCode, contentType, headers, content);
        return reply;
    }

    /// <summary>An answer that refuses a request.</summary>
    public static HttpReply Refuse(HttpReadRefusal refusal)
    {
        var reply = new HttpReply { IsRefusal = true };
        reply.Answer(refusal.StatusCode, HttpProblem.ContentType, refusal.Headers, HttpProblem.Write(refusal.StatusCode, refusal.Code, refusal.Detail));
        return reply;
    }

    /// <inheritdoc/>
    public string? RequestHeader(string name) => request?.Header(name);

    /// <inheritdoc/>
    public ValueTask RespondAsync(
        int statusCode, string? contentType, IReadOnlyDictionary<string, string[]> headers, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        Answer(statusCode, contentType, headers, content.ToArray());
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask RefuseAsync(
        int statusCode, string code, string detail, IReadOnlyDictionary<string, string[]> headers, CancellationToken cancellationToken)
    {
        Answer(statusCode, HttpProblem.ContentType, headers, HttpProblem.Write(statusCode, code, detail));
        IsRefusal = true;
        return ValueTask.CompletedTask;
    }

    /// <summary>Sends the answer.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public async Task WriteToAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        if (!IsAnswered)
            throw new InvalidOperationException("The workflow has not answered. Check IsAnswered and answer for it.");
        response.StatusCode = StatusCode;
        foreach (var (name, values) in Headers)
            response.Headers[name] = new StringValues(values);
        // RFC 9110: 204 and 304 have no content and need no length; 205 has none and says so.
        if (StatusCode is 204 or 304)
            return;
        if (ContentType is not null)
            response.ContentType = ContentType;
        response.ContentLength = StatusCode == 205 ? 0 : Content.Length;
        if (StatusCode != 205 && Content.Length > 0 && !HttpMethods.IsHead(response.HttpContext.Request.Method))
            await response.Body.WriteAsync(Content, cancellationToken);
    }

    /// <summary>The answer as bytes.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public byte[] Serialize()
    {
        if (!IsAnswered)
            throw new InvalidOperationException("The workflow has not answered, so that there is nothing to store.");
        using var buffer = new MemoryStream(Content.Length + 256);
        using (var writer = new BinaryWriter(buffer, Encoding.UTF8, leaveOpen: true))
        {
            writer.Write(Format);
            writer.Write(IsRefusal);
            writer.Write((ushort)StatusCode);
            writer.Write(ContentType ?? "");
            writer.Write7BitEncodedInt(Headers.Count);
            foreach (var (name, values) in Headers)
            {
                writer.Write(name);
                writer.Write7BitEncodedInt(values.Length);
                foreach (var value in values)
                    writer.Write(value);
            }

            writer.Write7BitEncodedInt(Content.Length);
            writer.Write(Content.Span);
        }

        return buffer.ToArray();
    }

    /// <summary>Reads what <see cref="Serialize"/> wrote.</summary>
    /// <exception cref="InvalidDataException">The bytes are not an answer.</exception>
    public static HttpReply Deserialize(byte[] stored)
    {
        try
        {
            using var reader = new BinaryReader(new MemoryStream(stored, writable: false), Encoding.UTF8);
            if (reader.ReadByte() is var format && format != Format)
                throw new InvalidDataException($"The stored answer has the format {format}; this server reads {Format}.");
            var isRefusal = reader.ReadBoolean();
            var status = reader.ReadUInt16();
            var contentType = reader.ReadString();
            var headers = new Dictionary<string, string[]>(StringComparer.OrdinalIgnoreCase);
            for (var count = reader.Read7BitEncodedInt(); count > 0; count--)
            {
                var name = reader.ReadString();
                var values = new List<string>();
                for (var left = reader.Read7BitEncodedInt(); left > 0; left--)
                    values.Add(reader.ReadString());
                headers[name] = [.. values];
            }

            var length = reader.Read7BitEncodedInt();
            if (length != stored.Length - reader.BaseStream.Position)
                throw new InvalidDataException("The stored answer is not as long as it says.");
            var reply = new HttpReply { IsRefusal = isRefusal };
            reply.Answer(status, contentType.Length == 0 ? null : contentType, headers, stored.AsMemory(stored.Length - length));
            return reply;
        }
        catch (Exception exception) when (exception is IOException or FormatException or ArgumentException)
        {
            throw new InvalidDataException("The stored answer is damaged.", exception);
        }
    }

    private void Answer(int statusCode, string? contentType, IReadOnlyDictionary<string, string[]> headers, ReadOnlyMemory<byte> content)
    {
        Check("Content-Type", contentType ?? "");
        foreach (var (name, values) in headers)
        {
            foreach (var value in values)
                Check(name, value);
        }

        if (Interlocked.Exchange(ref _isAnswered, 1) != 0)
        {
            throw new WorkflowException(
                "http.already_answered",
                $"The HTTP request has been answered already, with {StatusCode}. A request gets one answer: remove one of the activities that answer, or put them on different branches.")
            {
                IsPermanent = true,
            };
        }

        (StatusCode, ContentType, Headers, Content) = (statusCode, contentType, headers, content);
    }

    /// <summary>Kestrel sends ASCII only. It would say so after the commit, when the workflow cannot do anything about it.</summary>
    private static void Check(string name, string value)
    {
        if (value.AsSpan().ContainsAnyExceptInRange(' ', '~') && value.Replace("\t", "", StringComparison.Ordinal).AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw new WorkflowException("http.bad_header", $"The value of header '{name}' has characters that are not ASCII. Write them percent-encoded.")
            {
                IsPermanent = true,
            };
        }
    }
}
