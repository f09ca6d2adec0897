using System.Text.Json;
using Conclave.Agents.Tools;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Activities;

/// <summary>Chooses the tools that the model is told of.</summary>
[Activity("Conclave.Agents", "Agents", "Chooses the tools that the model is told of: all of the agent's, those named, or those that fit what is to be done.", DisplayName = "Select tools", Icon = AgentIcons.Tools, Color = AgentIcons.Color)]
public sealed class SelectTools : Activity
{
    /// <summary>Names.</summary>
    [Input(Description = "Names of tools; those that the agent may not know of are left out. Empty for all of the agent's.", UIHint = InputUIHints.MultiText)]
    public Input<object> Names { get; set; } = new();

    /// <summary>What is to be done.</summary>
    [Input(Description = "What is to be done, in words: the tools that fit best are chosen. Empty chooses all.", UIHint = InputUIHints.MultiLine)]
    public Input<string> Query { get; set; } = new();

    /// <summary>Most tools.</summary>
    [Input(Description = "Most tools to choose; fewer make models surer.")]
    public Input<int> Max { get; set; } = new(16);

    /// <summary>The names.</summary>
    [Output(Description = "The names of the tools, for Chat.")]
    public Output<JsonElement>? Tools { get; set; }

    /// <inheritdoc/>
    public override async ValueTask ExecuteAsync(ActivityContext context)
    {
        var scope = await TurnScope.OfAsync(context);
        var registry = context.Engine.Service<ToolRegistry>("use tools");
        var allowed = scope.Configuration.Tools;
        IEnumerable<string> names = allowed.Contains("*") ? registry.List(scope.Tenant).Select(t => t.Definition.Name) : allowed;
        if (ToolDeclarations.Names(context.Get(Names)) is { Count: > 0 } named)
            names = named.Where(names.Contains);
        var most = Math.Clamp(context.Get(Max), 1, 128);
        List<string> chosen = [.. names.Where(n => registry.Find(scope.Tenant, n) is { Problem: null })];
        // A test asks no model for the meaning of words; its model is not asked with these tools either.
        if (context.Host.Recorded is null && context.Get(Query) is { Length: > 0 } query && chosen.Count > most)
        {
            var fitting = await registry.SearchAsync(scope.Tenant, query, int.MaxValue, context.CancellationToken);
            chosen = [.. fitting.Select(m => m.Tool.Definition.Name).Where(chosen.Contains)];
        }

        context.Set(Tools, ValueConverter.ToJson(chosen.Take(most).ToArray()));
        context.Complete();
    }
}
