using Conclave.Inference.Providers;

namespace Conclave.Inference.Pool;

/// <summary>A call to a server. Whoever makes it says how it ended, so that circuit breakers know; then disposes it.</summary>
public sealed class ServerCall : IDisposable
{
    private readonly PooledServer _server;
    private readonly ServerConnection _connection;
    private readonly string _model;
    private readonly CircuitBreaker.Entry _ofServer;
    private readonly CircuitBreaker.Entry _ofModel;
    private int _told;
    private int _disposed;

    internal ServerCall(PooledServer server, ServerConnection connection, string model, CircuitBreaker.Entry ofServer, CircuitBreaker.Entry ofModel) =>
        (_server, _connection, _model, _ofServer, _ofModel) = (server, connection, model, ofServer, ofModel);

    /// <summary>What to call with; good until disposal, even when the server is changed or deleted meanwhile.</summary>
    public IModelClient Client => _connection.Client;

    /// <summary>It worked.</summary>
    public void Succeed() => Tell(serverWorked: true, modelWorked: true);

    /// <summary>It failed; what that means for the server depends on how.</summary>
    public void Fail(Exception exception)
    {
        if (exception is not ModelServerException failure)
        {
            Tell(null, exception is OperationCanceledException ? null : false);
            return;
        }

        // Without a connection nothing is known about the model; with one, the server itself is there.
        var isGone = failure.Failure == ModelServerFailure.Unreachable;
        Tell(!isGone, isGone ? null : failure.IsServersFault ? false : failure.Failure is ModelServerFailure.BadRequest or ModelServerFailure.ContextTooLong or ModelServerFailure.Refused ? true : null);
        _server.Learn(_connection, _model, failure);
    }

    /// <summary>Ends the call; one of which nobody said how it ended was given up by its caller.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        Tell(null, null);
        _connection.Release();
    }

    private void Tell(bool? serverWorked, bool? modelWorked)
    {
        if (Interlocked.Exchange(ref _told, 1) != 0)
            return;
        _ofServer.End(serverWorked);
        _ofModel.End(modelWorked);
        _server.Reconsider();
    }
}
