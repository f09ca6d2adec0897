using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;

namespace Conclave.Server.Inference;

/// <summary>Writes an answer in pieces as they come: server-sent events, or JSON a line.</summary>
internal sealed class EventStream : IDisposable
{
    private static readonly JsonWriterOptions Options = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly HttpResponse _response;
    private readonly PipeWriter _pipe;
    private readonly Utf8JsonWriter _json;
    private readonly bool _isLines;

    private EventStream(HttpResponse response, bool isLines)
    {
        (_response, _isLines) = (response, isLines);
        _pipe = response.BodyWriter;
        _json = new Utf8JsonWriter(_pipe, Options);
    }

    /// <summary>Server-sent events.</summary>
    public static EventStream Events(HttpResponse response) => new(response, isLines: false);

    /// <summary>JSON a line, as Ollama sends it.</summary>
    public static EventStream Lines(HttpResponse response) => new(response, isLines: true);

    /// <summary>Begins the answer; what was set on the response before goes out with it.</summary>
    public void Begin()
    {
        if (_response.HasStarted)
            return;
        _response.ContentType = _isLines ? "application/x-ndjson" : "text/event-stream; charset=utf-8";
        _response.Headers.CacheControl = "no-store";
        // Proxies such as nginx would else collect the pieces.
        _response.Headers["X-Accel-Buffering"] = "no";
    }

    /// <summary>Writes a piece and sends it at once.</summary>
    /// <param name="write">Writes its JSON.</param>
    /// <param name="state">What <paramref name="write"/> needs.</param>
    /// <param name="cancellationToken">Stops waiting for the client.</param>
    /// <param name="name">Name of the event; null for none.</param>
    /// <param name="id">Id of the event, which clients that come back name; null for none.</param>
    public ValueTask WriteAsync<T>(Action<Utf8JsonWriter, T> write, T state, CancellationToken cancellationToken, string? name = null, string? id = null)
    {
        Begin();
        if (id is not null)
            Raw($"id: {id}\n");
        if (name is not null)
            Raw($"event: {name}\n");
        if (!_isLines)
            _pipe.Write("data: "u8);
        _json.Reset(_pipe);
        write(_json, state);
        _json.Flush();
        _pipe.Write(_isLines ? "\n"u8 : "\n\n"u8);
        return SendAsync(cancellationToken);
    }

    /// <summary>Writes the last event of OpenAI's streams.</summary>
    public ValueTask WriteDoneAsync(CancellationToken cancellationToken)
    {
        Begin();
        _pipe.Write("data: [DONE]\n\n"u8);
        return SendAsync(cancellationToken);
    }

    /// <summary>Writes a comment, which clients skip.</summary>
    public ValueTask WriteCommentAsync(string text, CancellationToken cancellationToken)
    {
        Begin();
        Raw($": {text}\n\n");
        return SendAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _json.Dispose();

    private void Raw(string text) => Encoding.UTF8.GetBytes(text, _pipe);

    private async ValueTask SendAsync(CancellationToken cancellationToken) => await _pipe.FlushAsync(cancellationToken);
}
