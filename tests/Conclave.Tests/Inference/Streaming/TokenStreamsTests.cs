using Conclave.Inference.Streaming;
using Conclave.Tests.Runtime.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Conclave.Tests.Inference.Streaming;

public sealed class TokenStreamsTests : IAsyncLifetime
{
    private TestDatabase _database = null!;

    public async Task InitializeAsync() => _database = await PostgresServer.NewDatabaseAsync();

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task Publish_ListenersOfTheChannel_HearItAndOthersDoNot()
    {
        await using var streams = New();
        using var one = await streams.SubscribeAsync("t1", "c", default);
        using var two = await streams.SubscribeAsync("t1", "c", default);
        using var other = await streams.SubscribeAsync("t1", "d", default);
        using var stranger = await streams.SubscribeAsync("t2", "c", default);

        Say(streams, "t1", "c", "Hel", "lo");

        Assert.Equal(["<", "Hel", "lo", ">"], Pending(one));
        Assert.Equal(["<", "Hel", "lo", ">"], Pending(two));
        Assert.Empty(Pending(other));
        Assert.Empty(Pending(stranger));
    }

    [Fact]
    public async Task Publish_ListenerInAnotherProcess_HearsWholeTextInOrder()
    {
        await using var here = await Process.StartAsync(_database, New());
        await using var there = await Process.StartAsync(_database, New());
        using var listening = await there.Streams.SubscribeAsync("t1", "c", default);
        await here.HasHeardAsync(TokenStreams.WantChannel);
        // Longer than a notification, equal parts, pairs of surrogates across the cuts, line ends, and a NUL.
        var text = string.Concat(Enumerable.Repeat("a😀", 3_000)) + "\n\n" + new string('x', 6_000) + "\0end";

        Say(here.Streams, "t1", "c", [.. text.Chunk(7).Select(c => new string(c))]);
        Say(here.Streams, "t1", "c", "again");

        var heard = await ReadAsync(listening, pieces => pieces.Count(p => p == ">") == 2);
        Assert.Equal("<" + text.Replace("\0", "") + "><again>", string.Concat(heard));
    }

    [Fact]
    public async Task Hear_PieceIsMissing_EndsInsteadOfGoingOnWithAHole()
    {
        await using var streams = New();
        using var listening = await streams.SubscribeAsync("t1", "c", default);

        streams.Hear(TokenStreams.PieceChannel, "n1\nt1\nc\n5\nt\none");
        streams.Hear(TokenStreams.PieceChannel, "n1\nt1\nc\n7\nt\nthree");

        Assert.Equal(["one"], await ReadAsync(listening, _ => false));
    }

    [Fact]
    public async Task Dispose_Listeners_End()
    {
        var streams = New();
        using var listening = await streams.SubscribeAsync("t1", "c", default);

        await streams.DisposeAsync();

        Assert.Empty(await ReadAsync(listening, _ => false));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a\nb")]
    public async Task Subscribe_NameMakesNoChannel_Refuses(string name)
    {
        await using var streams = New();

        await Assert.ThrowsAsync<ArgumentException>(() => streams.SubscribeAsync("t1", name, default));
    }

    private TokenStreams New() => new(_database.DataSource, TimeProvider.System, NullLogger<TokenStreams>.Instance);

    private static void Say(TokenStreams streams, string tenant, string channel, params string[] pieces)
    {
        streams.Begin(tenant, channel);
        foreach (var piece in pieces)
            streams.Publish(tenant, channel, piece);
        streams.End(tenant, channel);
    }

    private static string Text(TokenPiece piece) => piece.Kind switch { TokenPieceKind.Begin => "<", TokenPieceKind.End => ">", _ => piece.Text };

    private static List<string> Pending(TokenSubscription subscription)
    {
        var pieces = new List<string>();
        while (subscription.TryRead(out var piece))
            pieces.Add(Text(piece));
        return pieces;
    }

    private static async Task<List<string>> ReadAsync(TokenSubscription subscription, Predicate<List<string>> isEnough)
    {
        using var late = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        var pieces = new List<string>();
        await foreach (var piece in subscription.ReadAsync(late.Token))
        {
            pieces.Add(Text(piece));
            if (isEnough(pieces))
                break;
        }

        return pieces;
    }

    /// <summary>The streams of a process, with a connection that listens.</summary>
    private sealed class Process : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Dictionary<string, TaskCompletionSource> _heard = new()
        {
            [TokenStreams.WantChannel] = new(TaskCreationOptions.RunContinuationsAsynchronously),
            [TokenStreams.PieceChannel] = new(TaskCreationOptions.RunContinuationsAsynchronously),
        };

        private NpgsqlConnection _connection = null!;
        private Task _listening = Task.CompletedTask;

        public required TokenStreams Streams { get; init; }

        public static async Task<Process> StartAsync(TestDatabase database, TokenStreams streams)
        {
            var process = new Process { Streams = streams, };
            process._connection = await database.DataSource.OpenConnectionAsync();
            process._connection.Notification += (_, told) =>
            {
                streams.Hear(told.Channel, told.Payload);
                process._heard[told.Channel].TrySetResult();
            };
            await using (var command = new NpgsqlCommand($"listen {TokenStreams.WantChannel}; listen {TokenStreams.PieceChannel}", process._connection))
                await command.ExecuteNonQueryAsync();
            process._listening = process.ListenAsync();
            return process;
        }

        public Task HasHeardAsync(string channel) => _heard[channel].Task.WaitAsync(TimeSpan.FromSeconds(30));

        public async ValueTask DisposeAsync()
        {
            await Streams.DisposeAsync();
            await _stop.CancelAsync();
            await _listening;
            await _connection.DisposeAsync();
            _stop.Dispose();
        }

        private async Task ListenAsync()
        {
            try
            {
                while (true)
                    await _connection.WaitAsync(_stop.Token);
            }
            catch (OperationCanceledException)
            {
                // The process stops.
            }
        }
    }
}
