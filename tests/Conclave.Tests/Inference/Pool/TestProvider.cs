using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Conclave.Inference;
using Conclave.Inference.Providers;
using Microsoft.Extensions.AI;

namespace Conclave.Tests.Inference.Pool;

/// <summary>Model servers that are objects in this process: tests say which models they have and how they fail.</summary>
internal sealed class TestProvider(string name = "ollama") : IModelProvider
{
    private readonly ConcurrentDictionary<Uri, TestServer> _servers = new();

    public string Name => name;

    /// <summary>The server at an address, made when it is first asked for; until a test says otherwise it is well and has no models.</summary>
    public TestServer this[string address] => At(new Uri(address));

    public IModelClient Connect(ModelServer server, string? apiKey)
    {
        var target = At(server.Address);
        target.Keys.Enqueue(apiKey);
        return new Client(target);
    }

    private TestServer At(Uri address) => _servers.GetOrAdd(address, _ => new TestServer());

    internal sealed class TestServer : IModelManager
    {
        private TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _checks;

        public ConcurrentQueue<string?> Keys { get; } = new();

        public IReadOnlyList<ServedModel> Models { get; set; } = [];

        public ModelServerException? Failure { get; set; }

        public int Checks => Volatile.Read(ref _checks);

        public int Disposed { get; set; }

        public List<string> Managed { get; } = [];

        /// <summary>What a pull waits for after its first line.</summary>
        public TaskCompletionSource Pulling { get; set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Waits for the next check.</summary>
        public Task NextCheckAsync() => Volatile.Read(ref _asked).Task.WaitAsync(TimeSpan.FromSeconds(30));

        public IReadOnlyList<ServedModel> Answer()
        {
            Interlocked.Increment(ref _checks);
            Interlocked.Exchange(ref _asked, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
            return Failure is { } failure ? throw failure : Models;
        }

        public async IAsyncEnumerable<PullProgress> PullAsync(string model, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            if (Failure is { } failure)
                throw failure;
            yield return new PullProgress("pulling manifest");
            await Pulling.Task.WaitAsync(cancellationToken);
            yield return new PullProgress("pulling", "sha256:1", 100, 100);
            Models = [.. Models, new ServedModel { Name = model }];
            yield return new PullProgress("success");
        }

        public Task DeleteAsync(string model, CancellationToken cancellationToken) => Note("delete", model);

        public Task LoadAsync(string model, TimeSpan? keepAlive, CancellationToken cancellationToken) => Note("load", model);

        public Task UnloadAsync(string model, CancellationToken cancellationToken) => Note("unload", model);

        private Task Note(string what, string model)
        {
            if (Models.All(m => m.Name != model))
                throw new ModelServerException(ModelServerFailure.ModelNotFound, $"model '{model}' not found");
            Managed.Add($"{what} {model}");
            if (what == "delete")
                Models = [.. Models.Where(m => m.Name != model)];
            return Task.CompletedTask;
        }
    }

    private sealed class Client(TestServer server) : IModelClient
    {
        public IChatClient Chat => throw new NotSupportedException();

        public IEmbeddingGenerator<string, Embedding<float>> Embeddings => throw new NotSupportedException();

        public IModelManager? Manager => server;

        public Task<IReadOnlyList<ServedModel>> ListModelsAsync(CancellationToken cancellationToken) =>
            Task.Run(server.Answer, cancellationToken);

        public void Dispose() => server.Disposed++;
    }
}
