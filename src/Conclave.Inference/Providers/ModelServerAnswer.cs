using System.Buffers;
using System.Text.Json;

namespace Conclave.Inference.Providers;

/// <summary>The answer of a model server while it comes: lines of JSON, server-sent events, or one JSON document.</summary>
/// <remarks>Disposing it before its end closes the connection, which tells the server to stop.</remarks>
internal sealed class ModelServerAnswer(ModelServerConnection connection, HttpResponseMessage response, SilenceTimer timer, string? model) : IDisposable
{
    /// <summary>How long the end of the connection may take after the end of the answer; if it takes longer, the connection is not used again.</summary>
    private static readonly TimeSpan EndLimit = TimeSpan.FromMilliseconds(250);

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(8192);
    private Stream? _stream;
    private int _start;
    private int _scanned;
    private int _end;
    private long _total;
    private bool _ended;

    /// <summary>The model that was asked for.</summary>
    public string? Model => model;

    /// <summary>What the last read found; valid until the next one.</summary>
    public ReadOnlyMemory<byte> Line { get; private set; }

    /// <summary>Whether the answer is one JSON document rather than a stream.</summary>
    public bool IsJson => response.Content.Headers.ContentType?.MediaType is "application/json";

    /// <summary>Reads the next line that is not empty and not a comment of server-sent events, which servers send to keep connections open.</summary>
    /// <returns>Whether there is one; false at the end of the answer.</returns>
    /// <exception cref="ModelServerException">The server is silent, cuts the connection, or sends too much.</exception>
    public async ValueTask<bool> ReadLineAsync()
    {
        var waits = false;
        try
        {
            while (true)
            {
                if (TryTakeLine())
                {
                    if (Line.IsEmpty || Line.Span[0] == (byte)':')
                        continue;
                    return true;
                }

                if (_ended)
                    return false;
                await FillAsync();
            }
        }
        catch (Exception exception)
        {
            throw Translated(exception);
        }
        finally
        {
            if (waits)
                timer.Stop();
        }

        async ValueTask FillAsync()
        {
            MakeRoom();
            _stream ??= await response.Content.ReadAsStreamAsync(timer.Token);
            var pending = _stream.ReadAsync(_buffer.AsMemory(_end), timer.Token);
            if (!pending.IsCompleted && !waits)
            {
                waits = true;
                timer.Start();
            }

            Count(await pending);
        }
    }

    /// <summary>Reads the data of the next server-sent event. None of the servers spreads data over several lines.</summary>
    /// <returns>Whether there is one; false at the end of the answer.</returns>
    public async ValueTask<bool> ReadEventAsync()
    {
        while (await ReadLineAsync())
        {
            if (!Line.Span.StartsWith("data:"u8))
                continue;
            Line = Line[5..];
            if (!Line.IsEmpty && Line.Span[0] == (byte)' ')
                Line = Line[1..];
            return true;
        }

        return false;
    }

    /// <summary>Parses the last line and reads what it says.</summary>
    /// <exception cref="ModelServerException"><see cref="ModelServerFailure.InvalidAnswer"/>, or what <paramref name="read"/> throws.</exception>
    public T Parse<T>(Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(Line);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return read(document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            // Members of another kind than the protocol's, or text that is not UTF-8.
            throw Invalid(exception);
        }

        throw Invalid(null);
    }

    /// <summary>Reads the whole answer as a JSON object.</summary>
    /// <exception cref="ModelServerException">It is none, or does not come.</exception>
    public async Task<T> ReadJsonAsync<T>(Func<JsonElement, T> read)
    {
        Line = await ReadBytesAsync(ModelServerConnection.MaxAnswerBytes, truncate: false);
        return Parse(read);
    }

    /// <summary>Reads the whole answer.</summary>
    /// <param name="limit">Longest length.</param>
    /// <param name="truncate">Whether a longer one is cut off rather than an error.</param>
    public async Task<ReadOnlyMemory<byte>> ReadBytesAsync(long limit, bool truncate)
    {
        try
        {
            _stream ??= await response.Content.ReadAsStreamAsync(timer.Token);
            while (!_ended && !(truncate && _total > limit))
            {
                MakeRoom();
                timer.Start();
                Count(await _stream.ReadAsync(_buffer.AsMemory(_end), timer.Token));
                timer.Stop();
            }

            return _buffer.AsMemory(_start, (int)Math.Min(_end - _start, limit));
        }
        catch (Exception exception)
        {
            throw Translated(exception);
        }
    }

    /// <summary>After the protocol's last message: has the end of the connection's answer read, so that the connection can be used again.</summary>
    public async ValueTask EndAsync()
    {
        // With HTTP/1.1 that happens by itself, after the disposal. An HTTP/2 stream would be reset.
        if (response.Version.Major < 2)
            return;
        try
        {
            timer.Start(EndLimit);
            while (!_ended && _stream is not null)
            {
                (_start, _scanned, _end) = (0, 0, 0);
                Count(await _stream.ReadAsync(_buffer, timer.Token));
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ModelServerException or HttpRequestException)
        {
            // The answer is complete; only the connection is lost.
        }
    }

    /// <summary>The failure that an exception of reading or understanding the answer is.</summary>
    public Exception Translated(Exception exception) => connection.Translate(exception, timer, timer.CallerToken);

    public void Dispose()
    {
        response.Dispose();
        timer.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    private bool TryTakeLine()
    {
        var newline = _buffer.AsSpan(_scanned, _end - _scanned).IndexOf((byte)'\n');
        if (newline < 0 && !(_ended && _end > _start))
        {
            _scanned = _end;
            return false;
        }

        var end = newline < 0 ? _end : _scanned + newline;
        var length = end - _start;
        if (length > 0 && _buffer[end - 1] == (byte)'\r')
            length--;
        Line = _buffer.AsMemory(_start, length);
        _start = _scanned = newline < 0 ? _end : end + 1;
        return true;
    }

    private void MakeRoom()
    {
        if (_start == _end)
            (_start, _scanned, _end) = (0, 0, 0);
        if (_end < _buffer.Length)
            return;
        // What is read stays where it is while Line points to it, so a full buffer moves to another array only here, between reads.
        var length = _end - _start;
        var target = _start > 0 && length <= _buffer.Length / 2 ? _buffer : ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        Buffer.BlockCopy(_buffer, _start, target, 0, length);
        if (!ReferenceEquals(target, _buffer))
            ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = target;
        (_start, _scanned, _end) = (0, _scanned - _start, length);
    }

    private void Count(int read)
    {
        _ended = read == 0;
        _end += read;
        _total += read;
        if (_total > ModelServerConnection.MaxAnswerBytes)
            throw connection.Failed(ModelServerFailure.InvalidAnswer, $"answered with more than {ModelServerConnection.MaxAnswerBytes:N0} bytes");
    }

    private ModelServerException Invalid(Exception? cause) =>
        connection.Failed(ModelServerFailure.InvalidAnswer, "answered something that is not its protocol", cause);
}
