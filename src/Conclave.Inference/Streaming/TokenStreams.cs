using System.Collections.Concurrent;
using System.Globalization;
using System.Threading.Channels;
using Conclave.Workflows.Runtime.Postgres;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Conclave.Inference.Streaming;

/// <summary>Hands what models say on to whoever listens to a channel, in this process at once, in others a few times a second.</summary>
/// <remarks>
/// <para>Nothing is kept: who begins to listen hears what comes from then on. The whole answer is where it always is, in the outputs of the activity.</para>
/// <para>Other processes hear by PostgreSQL's <c>NOTIFY</c>, and only of channels that somebody there listens to: whoever listens says so to all of them when it
/// begins and every 10 seconds, and is forgotten after 30 seconds of silence. Without listeners elsewhere the database is not touched.</para>
/// </remarks>
public sealed partial class TokenStreams(NpgsqlDataSource database, TimeProvider time, ILogger<TokenStreams> logger) : IAsyncDisposable
{
    /// <summary>Longest name of a channel.</summary>
    public const int LongestChannel = 200;

    /// <summary>Where processes say to what they listen.</summary>
    public const string WantChannel = "conclave_token_want";

    /// <summary>Where pieces come from other processes.</summary>
    public const string PieceChannel = "conclave_token";

    // A notification has at most 8,000 bytes, and a UTF-16 unit at most three.
    private const int LongestText = 2_000;
    private const int MostOutgoing = 50_000;
    private const int MostAtOnce = 1_000;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan RenewInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Interest = TimeSpan.FromSeconds(30);

    private readonly string _node = Guid.NewGuid().ToString("N");
    private readonly ConcurrentDictionary<StreamKey, Listeners> _mine = [];
    private readonly ConcurrentDictionary<StreamKey, Wanted> _wanted = [];
    private readonly Channel<(StreamKey Key, TokenPiece Piece)> _outgoing = Channel.CreateBounded<(StreamKey, TokenPiece)>(new BoundedChannelOptions(MostOutgoing) { SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private GroupedWork<StreamKey, bool>? _wants;
    private Task? _telling;
    private Task? _renewing;

    /// <summary>Says that an answer begins; what came before it on the channel is over, or is said again.</summary>
    public void Begin(string tenant, string channel) => Send(new StreamKey(tenant, channel), new TokenPiece(TokenPieceKind.Begin, ""));

    /// <summary>Hands text on. Neither waits nor fails.</summary>
    public void Publish(string tenant, string channel, string text)
    {
        if (text.Length > 0)
            Send(new StreamKey(tenant, channel), new TokenPiece(TokenPieceKind.Text, text));
    }

    /// <summary>Says that an answer has ended.</summary>
    public void End(string tenant, string channel) => Send(new StreamKey(tenant, channel), new TokenPiece(TokenPieceKind.End, ""));

    /// <summary>Listens to a channel from now on.</summary>
    /// <param name="tenant">Whose.</param>
    /// <param name="channel">Its name: 1 to 200 characters, no control characters.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <returns>The pieces; to be disposed.</returns>
    /// <exception cref="ArgumentException">The name makes no channel.</exception>
    public async Task<TokenSubscription> SubscribeAsync(string tenant, string channel, CancellationToken cancellationToken)
    {
        if (!IsChannel(channel))
            throw new ArgumentException($"A channel has 1 to {LongestChannel} characters, and no control characters.", nameof(channel));
        var key = new StreamKey(tenant, channel);
        var subscription = new TokenSubscription(gone => Leave(key, gone));
        Join(key, subscription);
        _ = LazyInitializer.EnsureInitialized(ref _renewing, () => Task.Run(RenewAsync, CancellationToken.None));
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            await LazyInitializer.EnsureInitialized(ref _wants, () => new GroupedWork<StreamKey, bool>(1, MostAtOnce, async keys =>
            {
                await WantAsync(keys, _stop.Token);
                return new bool[keys.Count];
            })).RunAsync(key);
        }
        catch
        {
            subscription.Dispose();
            throw;
        }

        return subscription;
    }

    /// <summary>Whether a name makes a channel.</summary>
    public static bool IsChannel(string name) => name.Length is > 0 and <= LongestChannel && !name.Any(char.IsControl);

    /// <summary>Takes in what another process said on <see cref="WantChannel"/> or <see cref="PieceChannel"/>.</summary>
    public void Hear(string on, string payload)
    {
        // node, tenant, channel; of pieces also number, kind and text, which may itself have line ends.
        var parts = payload.Split('\n', on == WantChannel ? 3 : 6);
        if (parts[0] == _node || parts.Length < 3)
            return;
        var key = new StreamKey(parts[1], parts[2]);
        if (on == WantChannel)
            Remember(key);
        else if (parts.Length == 6 && long.TryParse(parts[3], NumberStyles.None, CultureInfo.InvariantCulture, out var number) && _mine.TryGetValue(key, out var listeners))
            listeners.Hear(parts[0], number, new TokenPiece(parts[4] switch { "b" => TokenPieceKind.Begin, "e" => TokenPieceKind.End, _ => TokenPieceKind.Text }, parts[5]));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_telling ?? Task.CompletedTask, _renewing ?? Task.CompletedTask);
        foreach (var (_, listeners) in _mine)
            listeners.End();
        _stop.Dispose();
    }

    private void Send(StreamKey key, TokenPiece piece)
    {
        if (_mine.TryGetValue(key, out var listeners))
            listeners.Take(piece);
        if (!IsWanted(key))
            return;
        // When it is full the database is away; those elsewhere notice by the numbers that something is missing.
        if (!_outgoing.Writer.TryWrite((key, piece)))
            NextNumber(key);
        _ = LazyInitializer.EnsureInitialized(ref _telling, () => Task.Run(TellAsync, CancellationToken.None));
    }

    private bool IsWanted(StreamKey key)
    {
        if (!_wanted.TryGetValue(key, out var wanted))
            return false;
        if (time.GetElapsedTime(wanted.HeardAt) <= Interest)
            return true;
        _wanted.TryRemove(KeyValuePair.Create(key, wanted));
        return false;
    }

    private void Remember(StreamKey key)
    {
        _wanted.GetOrAdd(key, static _ => new Wanted()).HeardAt = time.GetTimestamp();
        if (_wanted.Count % 1_000 != 0)
            return;
        foreach (var (old, _) in _wanted)
            IsWanted(old);
    }

    private void Join(StreamKey key, TokenSubscription subscription)
    {
        while (!_mine.GetOrAdd(key, static _ => new Listeners()).TryAdd(subscription))
        {
            // The last one has just left; a new list is there in a moment.
        }
    }

    private void Leave(StreamKey key, TokenSubscription subscription)
    {
        if (_mine.TryGetValue(key, out var listeners) && listeners.Remove(subscription))
            _mine.TryRemove(KeyValuePair.Create(key, listeners));
    }

    private async Task RenewAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(RenewInterval, time, _stop.Token);
                StreamKey[] keys = [.. _mine.Keys];
                if (keys.Length > 0)
                    await WantAsync(keys, _stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                LogNotAsked(exception);
            }
        }
    }

    private async Task WantAsync(IReadOnlyList<StreamKey> keys, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select pg_notify('{WantChannel}', w.payload) from unnest($1) as w(payload)");
        command.Parameters.AddArray(keys, key => $"{_node}\n{key.Tenant}\n{key.Channel}");
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Tells other processes, what came in a moment together.</summary>
    private async Task TellAsync()
    {
        var payloads = new List<string>();
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await _outgoing.Reader.WaitToReadAsync(_stop.Token);
                Collect(payloads);
                await using (var command = database.CreateCommand($"select pg_notify('{PieceChannel}', p.payload) from unnest($1) with ordinality as p(payload, number) order by p.number"))
                {
                    command.Parameters.AddArray(payloads, p => p);
                    await command.ExecuteNonQueryAsync(_stop.Token);
                }

                await Task.Delay(Pause, time, _stop.Token);
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or TimeoutException or InvalidOperationException)
            {
                LogNotTold(payloads.Count, exception);
                await Task.Delay(Pause, time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Takes everything that waits; text that follows text of its channel becomes one piece.</summary>
    private void Collect(List<string> payloads)
    {
        payloads.Clear();
        var texts = new Dictionary<StreamKey, System.Text.StringBuilder>();
        while (_outgoing.Reader.TryRead(out var next))
        {
            var text = texts.TryGetValue(next.Key, out var begun) ? begun : texts[next.Key] = new();
            if (next.Piece.Kind == TokenPieceKind.Text)
            {
                text.Append(next.Piece.Text);
                continue;
            }

            AddText(next.Key, text);
            payloads.Add(Payload(next.Key, next.Piece.Kind == TokenPieceKind.Begin ? "b" : "e", ""));
        }

        foreach (var (key, text) in texts)
            AddText(key, text);

        void AddText(StreamKey key, System.Text.StringBuilder text)
        {
            // PostgreSQL has no NUL characters.
            var whole = text.Replace("\0", "").ToString();
            text.Clear();
            for (var at = 0; at < whole.Length;)
            {
                var length = Math.Min(LongestText, whole.Length - at);
                if (at + length < whole.Length && char.IsHighSurrogate(whole[at + length - 1]))
                    length--;
                payloads.Add(Payload(key, "t", whole.Substring(at, length)));
                at += length;
            }
        }
    }

    private long NextNumber(StreamKey key) => _wanted.TryGetValue(key, out var wanted) ? Interlocked.Increment(ref wanted.Number) : 0;

    // The number also keeps PostgreSQL from taking two equal pieces of a transaction for one.
    private string Payload(StreamKey key, string kind, string text) =>
        string.Create(CultureInfo.InvariantCulture, $"{_node}\n{key.Tenant}\n{key.Channel}\n{NextNumber(key)}\n{kind}\n{text}");

    [LoggerMessage(4241, LogLevel.Warning, "{Count} pieces of answers could not be told to processes where somebody listens; those end there and can be begun anew")]
    private partial void LogNotTold(int count, Exception exception);

    [LoggerMessage(4242, LogLevel.Warning, "Other processes could not be told what answers are listened to here; it is tried again")]
    private partial void LogNotAsked(Exception exception);

    private readonly record struct StreamKey(string Tenant, string Channel);

    /// <summary>A channel that another process wants to hear of.</summary>
    private sealed class Wanted
    {
        public long Number;

        public long HeardAt { get; set; }
    }

    /// <summary>Those of this process that listen to one channel.</summary>
    private sealed class Listeners
    {
        private readonly List<TokenSubscription> _all = [];
        private readonly Dictionary<string, long> _next = [];
        private bool _isGone;

        public bool TryAdd(TokenSubscription subscription)
        {
            lock (_all)
            {
                if (_isGone)
                    return false;
                _all.Add(subscription);
                return true;
            }
        }

        /// <summary>Takes one away; whether it was the last.</summary>
        public bool Remove(TokenSubscription subscription)
        {
            lock (_all)
            {
                _all.Remove(subscription);
                return _isGone = _all.Count == 0;
            }
        }

        public void Take(TokenPiece piece)
        {
            lock (_all)
            {
                foreach (var subscription in _all)
                    subscription.Take(piece);
            }
        }

        public void Hear(string node, long number, TokenPiece piece)
        {
            lock (_all)
            {
                var isWhole = !_next.TryGetValue(node, out var expected) || expected == number;
                _next[node] = number + 1;
                foreach (var subscription in _all)
                {
                    if (!isWhole)
                        subscription.Break();
                    subscription.Take(piece);
                }
            }
        }

        public void End()
        {
            lock (_all)
            {
                foreach (var subscription in _all)
                    subscription.Break();
            }
        }
    }
}
