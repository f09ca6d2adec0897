using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;

namespace Conclave.Samples.Extending;

/// <summary>An activity that computes something: inputs, an output, and two ways on.</summary>
[Activity("Samples", "Samples", "Turns degrees Celsius into degrees Fahrenheit.", DisplayName = "Convert temperature")]
[FlowNode("Done", "Impossible")]
public sealed class ConvertTemperature : Activity
{
    private const decimal AbsoluteZero = -273.15m;

    /// <summary>Degrees Celsius.</summary>
    [Input(Description = "Degrees Celsius.")]
    public Input<decimal> Celsius { get; set; } = new();

    /// <summary>Degrees Fahrenheit.</summary>
    [Output(Description = "Degrees Fahrenheit.")]
    public Output<decimal>? Fahrenheit { get; set; }

    /// <inheritdoc/>
    public override ValueTask ExecuteAsync(ActivityContext context)
    {
        var celsius = context.Get(Celsius);
        if (celsius < AbsoluteZero)
        {
            context.Complete("Impossible");
            return ValueTask.CompletedTask;
        }

        context.Set(Fahrenheit, celsius * 9 / 5 + 32);
        context.Complete("Done");
        return ValueTask.CompletedTask;
    }
}
