using Conclave.Workflows.Execution;

namespace Conclave.Workflows.Activities;

/// <summary>Writes a line.</summary>
[Activity("Elsa", "Console", "Writes a line of text: to the console of the command line, or to the log of the server.")]
public sealed class WriteLine : Activity
{
    /// <summary>The text.</summary>
    [Input(Description = "The text to write, for example a variable or an expression.")]
    public Input<string> Text { get; set; } = new();

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Host.WriteLine(context.Get(Text));
        context.Complete();
        return ValueTask.CompletedTask;
    }
}

/// <summary>Reads a line.</summary>
[Activity("Elsa", "Console", "Reads a line of text from the console. It works where there is one: with the command line, not on a server.")]
public sealed class ReadLine : Activity
{
    /// <summary>The line; null at the end of input.</summary>
    [Output(Description = "The line that was read.")]
    public Output<string>? Result { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        context.Set(Result, await context.Host.ReadLineAsync(context.CancellationToken));
        context.Complete();
    }
}
