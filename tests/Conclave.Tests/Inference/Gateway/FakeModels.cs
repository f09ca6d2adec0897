using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Gateway;

/// <summary>Model servers that are objects in this process, for what a real one on a network cannot be made to do at will.</summary>
internal sealed class FakeModels : IModelProvider
{
    private readonly ConcurrentDictionary<string, FakeServer> _servers = new();

    public string Name => "fake";

    public FakeServer this[string name] => _servers.GetOrAdd(name, n => new FakeServer(n));

    public IModelClient Connect(ModelServer server, string? apiKey) => this[server.Name];
}

/// <summary>What a fake server is asked.</summary>
internal sealed record FakeRequest(IReadOnlyList<ChatMessage> Messages, ChatOptions Options)
{
    /// <summary>Text to continue; null for none.</summary>
    public string? Begun => Messages[^1].Role == ChatRole.Assistant ? Messages[^1].Text : null;
}

/// <summary>A server that answers as <see cref="Answer"/> says.</summary>
internal sealed class FakeServer(string name) : IModelClient, IChatClient, IEmbeddingGenerator<string, Embedding<float>>
{
    private int _running;

    public string Name => name;

    /// <summary>How it answers; the default says "Hello from" and its name, in three pieces.</summary>
    public Func<FakeRequest, CancellationToken, IAsyncEnumerable<ChatResponseUpdate>> Answer { get; set; } =
        (_, cancellationToken) => Say(["Hello ", "from ", name], cancellationToken);

    public Func<IReadOnlyList<string>, CancellationToken, Task<GeneratedEmbeddings<Embedding<float>>>> Embed { get; set; } =
        (texts, _) => Task.FromResult(new GeneratedEmbeddings<Embedding<float>>(texts.Select(t => new Embedding<float>(new[] { t.Length, 1f })))
        {
            Usage = new UsageDetails { InputTokenCount = texts.Count },
        });

    public ConcurrentQueue<FakeRequest> Requests { get; } = new();

    public ConcurrentQueue<IReadOnlyList<string>> Embedded { get; } = new();

    public IReadOnlyList<ServedModel> Models { get; set; } =
    [
        new() { Name = "m", Capabilities = ModelCapabilities.Chat | ModelCapabilities.Continue | ModelCapabilities.Tools, ContextSize = 100_000, InputPrice = 1m, OutputPrice = 2m },
        new() { Name = "e", Capabilities = ModelCapabilities.Embeddings, ContextSize = 8_000 },
    ];

    public ModelServerException? Down { get; set; }

    /// <summary>Requests that it works on now.</summary>
    public int Running => Volatile.Read(ref _running);

    public IChatClient Chat => this;

    public IEmbeddingGenerator<string, Embedding<float>> Embeddings => this;

    public IModelManager? Manager => null;

    public Task<IReadOnlyList<ServedModel>> ListModelsAsync(CancellationToken cancellationToken) => Down is { } down ? Task.FromException<IReadOnlyList<ServedModel>>(down) : Task.FromResult(Models);

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var request = new FakeRequest([.. messages], options!);
        Requests.Enqueue(request);
        Interlocked.Increment(ref _running);
        try
        {
            if (Down is { } down)
                throw down;
            await foreach (var update in Answer(request, cancellationToken).WithCancellation(cancellationToken))
                yield return update;
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        string[] texts = [.. values];
        Embedded.Enqueue(texts);
        return Embed(texts, cancellationToken);
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => null;

    public void Dispose()
    {
    }

    /// <summary>Text in pieces, the usage and the end.</summary>
    public static async IAsyncEnumerable<ChatResponseUpdate> Say(string[] pieces, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var piece in pieces)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return Piece(piece);
        }

        await Task.Yield();
        yield return End(10, pieces.Length);
    }

    /// <summary>Text in pieces, then a failure.</summary>
    public static async IAsyncEnumerable<ChatResponseUpdate> SayThenFail(string[] pieces, ModelServerFailure failure)
    {
        foreach (var piece in pieces)
            yield return Piece(piece);
        await Task.Yield();
        throw new ModelServerException(failure, $"it failed ({failure})");
    }

    /// <summary>Text in pieces, then silence until cancelled.</summary>
    public static async IAsyncEnumerable<ChatResponseUpdate> SayThenHang(string[] pieces, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var piece in pieces)
            yield return Piece(piece);
        await Task.Delay(Timeout.Infinite, cancellationToken);
    }

    /// <summary>A piece as soon as the test gives it, until the channel ends.</summary>
    public static async IAsyncEnumerable<ChatResponseUpdate> SayFrom(System.Threading.Channels.ChannelReader<string> pieces, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var count = 0;
        await foreach (var piece in pieces.ReadAllAsync(cancellationToken))
        {
            count++;
            yield return Piece(piece);
        }

        yield return End(10, count);
    }

    public static ChatResponseUpdate Piece(string text) => new(ChatRole.Assistant, text) { MessageId = "m1", ResponseId = "r1" };

    public static ChatResponseUpdate End(int input, int output, ChatFinishReason? reason = null) => new(ChatRole.Assistant, [new UsageContent(new UsageDetails { InputTokenCount = input, OutputTokenCount = output })])
    {
        FinishReason = reason ?? ChatFinishReason.Stop,
        MessageId = "m1",
        ResponseId = "r1",
    };
}
