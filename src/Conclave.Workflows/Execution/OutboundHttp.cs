namespace Conclave.Workflows.Execution;

/// <summary>Sends HTTP requests for workflows.</summary>
public sealed class OutboundHttp
{
    /// <summary>The default.</summary>
    public static OutboundHttp Default { get; } = new();
}
