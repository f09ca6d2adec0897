using System.Net.WebSockets;
using System.Text;
using System.Text.Json;

namespace Conclave.EndToEnd.Elsa;

/// <summary>A client of the hub that does what Studio does: negotiates with its key, and opens the socket without it.</summary>
internal sealed class HubClient : IAsyncDisposable
{
    private const char End = '\u001e';

    private readonly ClientWebSocket _socket = new();
    private readonly List<JsonElement> _messages = [];
    private readonly CancellationTokenSource _stop = new();
    private Task _reading = Task.CompletedTask;

    /// <summary>What the server told so far.</summary>
    public IReadOnlyList<JsonElement> Messages
    {
        get
        {
            lock (_messages)
                return [.. _messages];
        }
    }

    public static async Task<HubClient> ConnectAsync(ServerProcess server, string path = "/elsa/hubs/workflow-instance")
    {
        var negotiated = (await server.CallAsync($"POST {path}/negotiate?negotiateVersion=1")).Is(200);
        Assert.Contains(negotiated["availableTransports"].EnumerateArray(), t => t.Text("transport") == "WebSockets");
        var client = new HubClient();
        await client.OpenAsync(AddressOf(server, path, negotiated["connectionToken"].GetString()!));
        return client;
    }

    public static Uri AddressOf(ServerProcess server, string path, string token) =>
        new($"ws://{server.Http.BaseAddress!.Authority}{path}?id={Uri.EscapeDataString(token)}");

    public Task ObserveAsync(string instanceId) =>
        SendAsync($$"""{"type":1,"target":"ObserveInstanceAsync","arguments":["{{instanceId}}"]}""");

    /// <summary>Waits for a message.</summary>
    public async Task<JsonElement> UntilAsync(string target, Func<JsonElement, bool> isMeant, int from = 0)
    {
        JsonElement found = default;
        await ServerProcess.UntilAsync(
            () =>
            {
                found = Messages.Skip(from).FirstOrDefault(m => m.Text("target") == target && isMeant(m.GetProperty("arguments")[0]));
                return Task.FromResult(found.ValueKind != JsonValueKind.Undefined);
            },
            $"{target} comes; there came: {string.Join('\n', Messages)}");
        return found.GetProperty("arguments")[0];
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _socket.Dispose();
        _stop.Dispose();
    }

    private async Task OpenAsync(Uri address)
    {
        await _socket.ConnectAsync(address, _stop.Token);
        await SendAsync("""{"protocol":"json","version":1}""");
        var buffer = new byte[1024];
        var read = await _socket.ReceiveAsync(buffer, _stop.Token);
        Assert.Equal($"{{}}{End}", Encoding.UTF8.GetString(buffer, 0, read.Count));
        _reading = Task.Run(ReadAsync);
    }

    private Task SendAsync(string json) => _socket.SendAsync(Encoding.UTF8.GetBytes(json + End), WebSocketMessageType.Text, endOfMessage: true, _stop.Token);

    private async Task ReadAsync()
    {
        var text = new StringBuilder();
        var buffer = new byte[64 * 1024];
        while (!_stop.IsCancellationRequested)
        {
            var read = await _socket.ReceiveAsync(buffer, _stop.Token);
            if (read.MessageType == WebSocketMessageType.Close)
                return;
            text.Append(Encoding.UTF8.GetString(buffer, 0, read.Count));
            for (var end = text.ToString().IndexOf(End, StringComparison.Ordinal); end >= 0; end = text.ToString().IndexOf(End, StringComparison.Ordinal))
            {
                var message = JsonElement.Parse(text.ToString()[..end]);
                text.Remove(0, end + 1);
                if (message.GetProperty("type").GetInt32() != 1)
                    continue;
                lock (_messages)
                    _messages.Add(message);
            }
        }
    }
}
