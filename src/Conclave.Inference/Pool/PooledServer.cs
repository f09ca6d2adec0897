using Conclave.Inference.Providers;
using Microsoft.Extensions.Logging;

namespace Conclave.Inference.Pool;

/// <summary>A server as this process sees it: what operators want, how it is, which models it has, and calls to it.</summary>
public sealed partial class PooledServer : IAsyncDisposable
{
    // A server that says nothing about when to come back.
    private static readonly TimeSpan ShortRest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRest = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Disbelief = TimeSpan.FromMinutes(1);

    private readonly ServerPoolOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Action<PooledServer> _changed;
    private readonly Lock _lock = new();
    private ServerConnection _connection;
    private IReadOnlyList<ServedModel> _listed = [];
    private (int Slots, bool Accepts) _told = (-1, false);
    private int _failedChecks;

    internal PooledServer(StoredServer stored, IModelClient client, int slots, ServerPoolOptions options, TimeProvider time, ILogger logger, Action<PooledServer> changed)
    {
        (_options, _time, _logger, _changed) = (options, time, logger, changed);
        Stored = stored;
        Slots = slots;
        _connection = new ServerConnection(client, options, time);
        Models = MergedModels.Of([], stored.Server.Models);
        Health = new ServerHealth(HealthStatus.Unknown, null, time.GetUtcNow(), null, null);
    }

    /// <summary>The server as operators configured it.</summary>
    public ModelServer Server => Stored.Server;

    /// <summary>The same with its version and where it comes from.</summary>
    public StoredServer Stored { get; private set; }

    /// <summary>How it is.</summary>
    public ServerHealth Health { get; private set; }

    /// <summary>Its models: what it says, and what operators say about them.</summary>
    public IReadOnlyList<ServedModel> Models { get; private set; }

    /// <summary>Calls that this process may make at a time: its share of the server's slots, see <see cref="SlotShare"/>.</summary>
    public int Slots { get; private set; }

    /// <summary>Calls of this process that run.</summary>
    public int Running => _connection.Running;

    /// <summary>Whether new calls may be sent to it at all. Ask <see cref="WhyNot"/> about a model.</summary>
    public bool Accepts => !IsRemoved && Server.Mode == ServerMode.Active && Health.Status == HealthStatus.Healthy && _connection.Breaker.IsClosed;

    /// <summary>Whether it was taken out of the pool.</summary>
    public bool IsRemoved { get; private set; }

    /// <summary>Pulls, deletes, loads and unloads its models; null where it cannot be asked to.</summary>
    public IModelManager? Manager => _connection.Client.Manager;

    /// <summary>State of its circuit breaker: <c>closed</c>, <c>open</c> or <c>half-open</c>.</summary>
    public string Breaker => _connection.Breaker.State;

    /// <summary>State of the circuit breaker of one of its models.</summary>
    public string BreakerOf(string model) => _connection.FindModel(model)?.Breaker.State ?? "closed";

    /// <summary>The model of a name; null when it has none. A name without a tag also means <c>latest</c>, as with Ollama.</summary>
    public ServedModel? FindModel(string name) => MergedModels.Find(Models, name);

    /// <summary>Why no call can be sent to it or its model now, in a sentence that goes on after the server's name; null when one can.</summary>
    public string? WhyNot(string model)
    {
        var now = _time.GetUtcNow();
        if (IsRemoved)
            return "is not in the pool any more";
        if (Server.Mode != ServerMode.Active)
            return Server.Mode == ServerMode.Draining ? "is draining" : "is in maintenance";
        if (Health.Status != HealthStatus.Healthy)
            return Health.Status == HealthStatus.Unknown ? "has not answered yet" : $"is not well: {Health.Message}";
        if (!_connection.Breaker.IsClosed)
            return $"could not be reached by the last calls; its circuit breaker is {Breaker}";
        if (_connection.FindModel(model) is not { } state)
            return null;
        if (state.MissingUntil > now)
            return $"lists '{model}', but said that it does not have it";
        if (state.RestsUntil > now)
            return $"wants no calls of '{model}' for another {Math.Ceiling((state.RestsUntil - now).TotalSeconds):0} s";
        return state.Breaker.CanEnter ? null : $"failed too many calls of '{model}'; the circuit breaker is {state.Breaker.State}";
    }

    /// <summary>Begins a call.</summary>
    /// <param name="model">Name of the model on the server.</param>
    /// <returns>The call; null when none can be sent now, see <see cref="WhyNot"/>.</returns>
    public ServerCall? TryBegin(string model)
    {
        if (WhyNot(model) is not null)
            return null;
        var connection = _connection;
        if (!connection.TryUse())
            return null;
        if (connection.Breaker.IsClosed && connection.Breaker.TryEnter() is { } ofServer)
        {
            if (connection.Model(model).Breaker.TryEnter() is { } ofModel)
                return new ServerCall(this, connection, model, ofServer, ofModel);
            ofServer.End(null);
        }

        connection.Release();
        return null;
    }

    /// <summary>Asks the server how it is and which models it has; also what its health checks do.</summary>
    public async Task<ServerHealth> CheckAsync(CancellationToken cancellationToken)
    {
        var connection = _connection;
        if (!connection.TryUse())
            return Health;
        // After the breaker opened, this is the call that tries.
        var trial = connection.Breaker.IsClosed ? null : connection.Breaker.TryEnter();
        var began = _time.GetTimestamp();
        try
        {
            using var timeout = new CancellationTokenSource(_options.HealthTimeout, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
            IReadOnlyList<ServedModel> models;
            try
            {
                models = await connection.Client.ListModelsAsync(either.Token);
            }
            catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                throw new ModelServerException(ModelServerFailure.Timeout, $"no answer within {_options.HealthTimeout.TotalSeconds:0.#} s");
            }

            trial?.End(true);
            Found(connection, models, _time.GetElapsedTime(began));
        }
        catch (ModelServerException exception)
        {
            trial?.End(exception.Failure is not (ModelServerFailure.Unreachable or ModelServerFailure.Timeout));
            Failed(connection, exception.Message);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            // A provider that somebody plugged in and that breaks its promise; the checks go on.
            trial?.End(false);
            Failed(connection, exception.Message);
        }
        finally
        {
            trial?.End(null);
            connection.Release();
        }

        Reconsider();
        return Health;
    }

    /// <summary>Takes a change of the server over.</summary>
    internal void Update(StoredServer stored, IModelClient? newClient)
    {
        ServerConnection? old = null;
        lock (_lock)
        {
            var wasActive = Server.Mode == ServerMode.Active;
            Stored = stored;
            Models = MergedModels.Of(_listed, stored.Server.Models);
            if (newClient is not null)
            {
                old = _connection;
                _connection = new ServerConnection(newClient, _options, _time);
                (_listed, _failedChecks) = ([], 0);
                Models = MergedModels.Of([], stored.Server.Models);
                Health = new ServerHealth(HealthStatus.Unknown, null, _time.GetUtcNow(), null, null);
            }
            else if (!wasActive && stored.Server.Mode == ServerMode.Active && Health.Status == HealthStatus.Unhealthy)
            {
                // It was not asked, or has been repaired: what it was like before says nothing.
                Health = new ServerHealth(HealthStatus.Unknown, null, _time.GetUtcNow(), null, null);
            }
        }

        old?.Release();
        AskSoon();
        Reconsider();
    }

    internal void SetSlots(int slots)
    {
        Slots = slots;
        Reconsider();
    }

    /// <summary>Takes the server out of use; calls that run go on to their end.</summary>
    public async ValueTask DisposeAsync()
    {
        if (IsRemoved)
            return;
        IsRemoved = true;
        _connection.Release();
        Reconsider();
        await StopChecksAsync();
    }

    /// <summary>Draws conclusions from a failed call.</summary>
    internal void Learn(ServerConnection connection, string model, ModelServerException failure)
    {
        var state = connection.Model(model);
        switch (failure.Failure)
        {
            case ModelServerFailure.Overloaded:
                var rest = failure.RetryAfter is { } wanted ? wanted < LongestRest ? wanted : LongestRest : ShortRest;
                state.RestsUntil = _time.GetUtcNow() + rest;
                break;
            case ModelServerFailure.ModelNotFound:
                // It lied, or the model has just gone. The next list tells; but a list that lies must not bring every call here.
                state.MissingUntil = _time.GetUtcNow() + Disbelief;
                LogLied(Server.Name, model);
                AskSoon();
                break;
            case ModelServerFailure.Unreachable or ModelServerFailure.Unauthorized:
                AskSoon();
                break;
        }
    }

    /// <summary>Tells others when what they plan with has changed.</summary>
    internal void Reconsider()
    {
        var now = (Slots, Accepts);
        lock (_lock)
        {
            if (now == _told && !IsRemoved)
                return;
            _told = now;
        }

        _changed(this);
    }

    private void Found(ServerConnection connection, IReadOnlyList<ServedModel> models, TimeSpan latency)
    {
        var now = _time.GetUtcNow();
        var isNew = false;
        lock (_lock)
        {
            if (connection != _connection)
                return;
            _failedChecks = 0;
            isNew = !models.SequenceEqual(_listed);
            _listed = models;
            if (isNew)
                Models = MergedModels.Of(models, Server.Models);
            if (Health.Status != HealthStatus.Healthy)
                LogHealthy(Server.Name, models.Count);
            Health = new ServerHealth(HealthStatus.Healthy, null, Health.Status == HealthStatus.Healthy ? Health.Since : now, now, latency);
        }

        if (isNew)
            _changed(this);
    }

    private void Failed(ServerConnection connection, string message)
    {
        var now = _time.GetUtcNow();
        lock (_lock)
        {
            if (connection != _connection)
                return;
            // One lost answer of a server that was well is no reason yet; the next check comes soon.
            if (++_failedChecks < 2 && Health.Status == HealthStatus.Healthy)
            {
                Health = Health with { CheckedAt = now, Latency = null };
                AskSoon();
                return;
            }

            if (Health.Status != HealthStatus.Unhealthy)
                LogUnhealthy(Server.Name, message);
            Health = new ServerHealth(HealthStatus.Unhealthy, message, Health.Status == HealthStatus.Unhealthy ? Health.Since : now, now, null);
        }
    }

    [LoggerMessage(4001, LogLevel.Information, "The model server {Server} is well and has {Models} models.")]
    private partial void LogHealthy(string server, int models);

    [LoggerMessage(4002, LogLevel.Warning, "The model server {Server} is not well: {Message}")]
    private partial void LogUnhealthy(string server, string message);

    [LoggerMessage(4003, LogLevel.Warning, "The model server {Server} lists the model {Model}, but said that it does not have it. It gets no calls of it for a minute.")]
    private partial void LogLied(string server, string model);
}
