using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using Conclave.Agents.Turns;
using Conclave.Inference.Streaming;
using Conclave.Server.Api;
using Conclave.Server.Hosting;
using Conclave.Server.Inference;

namespace Conclave.Server.Agents;

/// <summary>A place in the stream of an agent: the last stored event, and how many characters of the answer that comes were told since.</summary>
internal readonly record struct StreamPlace(long Event, int Characters)
{
    public override string ToString() => Characters == 0
        ? Event.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{Event}:{Characters}");

    /// <summary>The place that <c>Last-Event-ID</c> names; null for none.</summary>
    /// <exception cref="ApiException">It is none that this server sent.</exception>
    public static StreamPlace? Read(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        var parts = text.Split(':');
        return parts.Length <= 2
            && long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && (parts.Length == 1 ? "0" : parts[1]) is var rest && int.TryParse(rest, NumberStyles.None, CultureInfo.InvariantCulture, out var characters)
            ? new StreamPlace(number, characters)
            : throw ApiException.Bad("'Last-Event-ID' must be an id of an event that this server sent.");
    }
}

/// <summary>Sends what happens to an agent, or in a turn, as server-sent events: stored events in their order, and tokens as they come.</summary>
internal sealed class AgentStream(ServerRuntime server, TurnStore turns, TokenStreams tokens, IHostApplicationLifetime lifetime)
{
    private const int Page = 200;

    // Transactions that ran side by side get their numbers before they end: what a later one hides comes within this many.
    private const int Overlap = 500;

    /// <summary>Events that were stored and not heard of are found by a look now and then.</summary>
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(5);

    /// <summary>Comments keep proxies from closing a stream in which nothing happens.</summary>
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(15);

    /// <summary>Number of an agent's last event.</summary>
    public Task<long> LastAsync(string tenant, string agentId, CancellationToken cancellationToken) => turns.LastEventAsync(tenant, agentId, cancellationToken);

    /// <summary>Sends events until the client goes away, or the turn ends.</summary>
    /// <param name="context">The request.</param>
    /// <param name="agentId">The agent.</param>
    /// <param name="turnId">Only what happens in this turn, and its tokens; null for all of the agent's events, without tokens.</param>
    /// <param name="place">From where on.</param>
    /// <param name="endsWithTurn">Whether the stream ends when the turn has ended; it goes on while the turn waits for people.</param>
    /// <param name="begin">Begins what is told of, once nothing of it can be missed; null where it has begun. What it throws comes before any answer.</param>
    public async Task WriteAsync(HttpContext context, string agentId, string? turnId, StreamPlace place, bool endsWithTurn, Func<Task>? begin = null)
    {
        var tenant = context.Tenant();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
        using var stream = EventStream.Events(context.Response);
        using var subscription = turnId is null ? null : await tokens.SubscribeAsync(tenant, turnId, stop.Token);
        var signals = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        var key = turnId ?? TurnCommits.WatchKey(agentId);
        void Changed(string of, string id)
        {
            if (of == tenant && id == key)
                signals.Writer.TryWrite(true);
        }

        var watch = server.Runtime.Watch;
        watch.Changed += Changed;
        await watch.WatchAsync(tenant, key, stop.Token);
        try
        {
            if (begin is not null)
                await begin();
            await RunAsync(new Reader(turns, stream, subscription, signals.Reader, tenant, agentId, turnId, place), signals.Reader, endsWithTurn, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The client went away, or the server stops: it comes back with Last-Event-ID.
        }
        finally
        {
            watch.Changed -= Changed;
            watch.Unwatch(tenant, key);
        }
    }

    private static async Task RunAsync(Reader reader, ChannelReader<bool> signals, bool endsWithTurn, CancellationToken cancellationToken)
    {
        await reader.BeginAsync(cancellationToken);
        var signal = signals.WaitToReadAsync(cancellationToken).AsTask();
        var token = reader.WaitForTokenAsync(cancellationToken);
        var look = Task.Delay(LookInterval, cancellationToken);
        var silence = TimeSpan.Zero;
        var mayBeMore = false;
        // What is there already comes with the answers of its time.
        if (await reader.TellStoredAsync(cancellationToken) && endsWithTurn)
            return;
        while (true)
        {
            await reader.TellTokensAsync(cancellationToken);
            // Tokens are no reason to ask the database. What is signalled by now is read now.
            if ((signals.TryRead(out _) || mayBeMore || reader.IsBehind) && await reader.TellStoredAsync(cancellationToken) && endsWithTurn)
                return;
            // Whatever comes first; a look now and then for what nobody told of.
            var first = await Task.WhenAny(signal, token, look);
            await first;
            silence = first == look ? silence + LookInterval : TimeSpan.Zero;
            mayBeMore = look.IsCompleted;
            if (look.IsCompleted)
                look = Task.Delay(LookInterval, cancellationToken);
            if (silence >= KeepAlive)
            {
                await reader.KeepAliveAsync(cancellationToken);
                silence = TimeSpan.Zero;
            }

            if (token.IsCompleted)
                token = reader.WaitForTokenAsync(cancellationToken);
            if (signal.IsCompleted)
                signal = signals.WaitToReadAsync(cancellationToken).AsTask();
        }
    }

    /// <summary>One client's stream: what it was told, and what comes next.</summary>
    private sealed class Reader(
        TurnStore turns, EventStream stream, TokenSubscription? subscription, ChannelReader<bool> signals, string tenant, string agentId, string? turnId, StreamPlace from)
    {
        private readonly SortedSet<long> _told = [];
        private readonly long _first = from.Event;
        private StreamPlace _place = from;

        // Of the answers that are heard: how many have ended as pieces and not yet come as events, and how many the other way round.
        private int _ended;
        private int _early;
        private bool _isBegun;

        // Nobody keeps what was said: to a client that comes back in the middle of an answer, the rest comes with the answer's event.
        private bool _isInside = from.Characters > 0;

        /// <summary>Whether something was signalled that has not been told yet.</summary>
        public bool IsBehind { get; private set; }

        public async ValueTask BeginAsync(CancellationToken cancellationToken) => await stream.WriteCommentAsync("events", cancellationToken);

        public ValueTask KeepAliveAsync(CancellationToken cancellationToken) => stream.WriteCommentAsync("still here", cancellationToken);

        /// <summary>Waits for a token; for ever where there are none.</summary>
        public Task WaitForTokenAsync(CancellationToken cancellationToken) =>
            subscription is null ? Task.Delay(Timeout.Infinite, cancellationToken) : WaitAsync(subscription, cancellationToken);

        /// <summary>Tells what was stored since. What was said before an answer was stored is told before it.</summary>
        /// <returns>Whether the turn has ended.</returns>
        public async Task<bool> TellStoredAsync(CancellationToken cancellationToken, bool isBetweenAnswers = false)
        {
            IsBehind = false;
            while (true)
            {
                // A turn's own events are stored one after the other; an agent's are not.
                var after = turnId is null ? Math.Max(_first, _place.Event - Overlap) : _place.Event;
                var events = await turns.ReadEventsAsync(tenant, agentId, turnId, after, Page + (turnId is null ? Overlap : 0), cancellationToken);
                var isNew = false;
                foreach (var happened in events)
                {
                    if (_told.Contains(happened.Id))
                        continue;
                    var isEnd = turnId is not null && happened.Type is ("turn.completed" or "turn.failed" or "turn.cancelled");
                    var isAnswer = happened.Type == "model.completed";
                    // A quick turn has stored the answer that begins, or its end: that comes after what is said.
                    if (isBetweenAnswers && (isEnd || (isAnswer && _ended == 0)))
                        return false;
                    _told.Add(happened.Id);
                    isNew = true;
                    if (!isBetweenAnswers && (isEnd || (isAnswer && _ended == 0)))
                        await TellAnswerAsync(cancellationToken);
                    if (isAnswer)
                        Store();
                    await TellAsync(happened, cancellationToken);
                    if (isEnd)
                        return true;
                }

                while (_told.Count > 2 * Overlap)
                    _told.Remove(_told.Min);
                if (!isNew || events.Count < Page)
                    return false;
            }
        }

        /// <summary>Tells the tokens that have come. Before an answer begins everything about the one before it is stored, and told.</summary>
        public async ValueTask TellTokensAsync(CancellationToken cancellationToken)
        {
            while (subscription?.TryRead(out var piece) == true)
            {
                if (piece.Kind == TokenPieceKind.Begin)
                {
                    if (signals.TryRead(out _))
                    {
                        await TellStoredAsync(cancellationToken, isBetweenAnswers: true);
                        IsBehind = true;
                    }

                    Begin();
                }
                else if (piece.Kind == TokenPieceKind.End)
                    End();

                await TellPieceAsync(piece, cancellationToken);
            }
        }

        /// <summary>Tells the rest of an answer that is stored: all of it has come.</summary>
        private async ValueTask TellAnswerAsync(CancellationToken cancellationToken)
        {
            while (subscription?.TryRead(out var piece) == true)
            {
                if (piece.Kind == TokenPieceKind.End)
                {
                    End();
                    return;
                }

                if (piece.Kind == TokenPieceKind.Begin)
                    Begin();
                await TellPieceAsync(piece, cancellationToken);
            }
        }

        private void Begin() => (_isBegun, _isInside, _place) = (true, false, _place with { Characters = 0 });

        private void End()
        {
            _isBegun = false;
            if (_early > 0)
                _early--;
            else
                _ended++;
        }

        /// <summary>An answer has come as an event. One that was not heard from its beginning has no end to wait for.</summary>
        private void Store()
        {
            if (_ended > 0)
                _ended--;
            else if (_isBegun)
                (_isBegun, _early) = (false, _early + 1);
        }

        private async ValueTask TellPieceAsync(TokenPiece piece, CancellationToken cancellationToken)
        {
            if (piece.Kind != TokenPieceKind.Text || _isInside)
                return;
            _place = _place with { Characters = _place.Characters + piece.Text.Length };
            await stream.WriteAsync(static (writer, text) =>
            {
                writer.WriteStartObject();
                writer.WriteString("text"u8, text);
                writer.WriteEndObject();
            }, piece.Text, cancellationToken, "token", _place.ToString());
        }

        private async ValueTask TellAsync(AgentEvent happened, CancellationToken cancellationToken)
        {
            // The text is whole now: what comes next is another answer's.
            var characters = happened.Type == "model.completed" ? 0 : _place.Characters;
            _place = new StreamPlace(Math.Max(_place.Event, happened.Id), characters);
            await stream.WriteAsync(Write, happened, cancellationToken, happened.Type, _place.ToString());
        }

        private static async Task WaitAsync(TokenSubscription subscription, CancellationToken cancellationToken)
        {
            // Tokens were lost: the rest of the answer comes with its event.
            if (!await subscription.WaitAsync(cancellationToken))
                await Task.Delay(Timeout.Infinite, cancellationToken);
        }

        private static void Write(Utf8JsonWriter writer, AgentEvent happened)
        {
            writer.WriteStartObject();
            writer.WriteString("turnId"u8, happened.TurnId);
            writer.WriteString("at"u8, happened.CreatedAt);
            foreach (var member in happened.Data.EnumerateObject())
                member.WriteTo(writer);
            writer.WriteEndObject();
        }
    }
}
