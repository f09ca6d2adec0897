using System.Text.Json;
using Conclave.Inference.StructuredOutput;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Activities;

/// <summary>What activities that ask models have in common: which model, what it may cost, and what it took.</summary>
public abstract class ModelActivity : Activity
{
    /// <summary>Which model.</summary>
    [Input(Description = "The model: an alias such as fast, smart or local-only, a model's name, or server/model.", Category = "Model")]
    public Input<string> Model { get; set; } = new("smart");

    /// <summary>The most that the call may cost.</summary>
    [Input(Description = "The most that the call may cost, in the currency of the prices; empty for no such limit. Budgets of the tenant and the instance hold as well.", Category = "Model")]
    public Input<decimal?> MaxCost { get; set; } = new();

    /// <summary>How urgent it is.</summary>
    [Input(Description = "How urgent the call is: P1 when a person waits, P3 for bulk.", Category = "Model", UIHint = InputUIHints.DropDown, Options = ["P1", "P2", "P3"])]
    public Input<string> Priority { get; set; } = new("P2");

    /// <summary>Whether the content must stay in the house.</summary>
    [Input(Description = "Ask only servers of the house.", Category = "Model")]
    public Input<bool> LocalOnly { get; set; } = new();

    /// <summary>Whether an equal call's answer will do.</summary>
    [Input(Description = "Take the answer of an equal call, if there is one, and keep this one.", Category = "Model")]
    public Input<bool> UseCache { get; set; } = new();

    /// <summary>Tokens read.</summary>
    [Output(Description = "Tokens that the model read.")]
    public Output<long>? InputTokens { get; set; }

    /// <summary>Tokens written.</summary>
    [Output(Description = "Tokens that the model wrote.")]
    public Output<long>? OutputTokens { get; set; }

    /// <summary>What it cost.</summary>
    [Output(Description = "What the call cost, in the currency of the prices.")]
    public Output<decimal>? Cost { get; set; }

    /// <summary>The model that answered.</summary>
    [Output(Description = "The model that answered.")]
    public Output<string>? UsedModel { get; set; }

    /// <summary>The server that answered.</summary>
    [Output(Description = "The server that answered.")]
    public Output<string>? UsedServer { get; set; }

    // What a model is told may change; what is done with its answer must not.
    /// <inheritdoc/>
    public override bool IsComparedInTests => false;

    /// <summary>Asks a model.</summary>
    /// <param name="context">The execution.</param>
    /// <param name="messages">The conversation.</param>
    /// <param name="options">Tools, temperature and so on.</param>
    /// <param name="onUpdate">Hears what the model says as it says it; null for nobody. What it throws ends the call.</param>
    /// <param name="report">Filled while the call proceeds; null for one that nobody else reads.</param>
    private protected Task<ChatResponse> AskAsync(
        ActivityContext context, IReadOnlyList<ChatMessage> messages, ChatOptions options, Action<ChatResponseUpdate>? onUpdate = null, CallReport? report = null) =>
        RunAsync(context, report, async (inference, told) =>
        {
            var call = new ChatCall(await ContextOfAsync(context), ModelOf(context), messages, options);
            if (onUpdate is null)
                return await inference.ChatAsync(call, told, context.CancellationToken);
            var updates = new List<ChatResponseUpdate>();
            await foreach (var update in inference.StreamAsync(call, told, context.CancellationToken))
            {
                updates.Add(update);
                onUpdate(update);
            }

            return updates.ToChatResponse();
        });

    /// <summary>Asks a model for JSON.</summary>
    /// <param name="context">The execution.</param>
    /// <param name="messages">The conversation.</param>
    /// <param name="options">Tools, temperature and so on.</param>
    /// <param name="schema">JSON Schema of the answer.</param>
    /// <param name="onUpdate">Hears the answer once it has been checked: half of it says nothing, and a repair would write it anew. Null for nobody.</param>
    /// <param name="report">Filled while the call proceeds; null for one that nobody else reads.</param>
    private protected Task<StructuredAnswer> AskAsync(
        ActivityContext context, IReadOnlyList<ChatMessage> messages, ChatOptions options, JsonElement schema, Action<ChatResponseUpdate>? onUpdate = null, CallReport? report = null)
    {
        if (context.Engine.Expressions.Find("JavaScript") is not JavaScriptSyntax { Runners: { } runners })
            throw new ExpressionException("expression.unavailable", "JSON Schema needs a script runner; create the engine with one.");
        return RunAsync(context, report, async (inference, told) =>
        {
            var answer = await new StructuredAnswers(inference, runners).AskAsync(
                new ChatCall(await ContextOfAsync(context), ModelOf(context), messages, options), schema, told, context.CancellationToken);
            if (onUpdate is not null)
            {
                foreach (var update in answer.Response.ToChatResponseUpdates())
                    onUpdate(update);
            }

            return answer;
        });
    }

    /// <summary>Embeds texts.</summary>
    private protected Task<GeneratedEmbeddings<Embedding<float>>> EmbedAsync(ActivityContext context, IReadOnlyList<string> texts, int? dimensions) =>
        RunAsync(context, null, async (inference, report) => await inference.EmbedAsync(new EmbedCall(await ContextOfAsync(context), ModelOf(context), texts, dimensions), report, context.CancellationToken));

    /// <summary>A JSON Schema that an author gave; null for none.</summary>
    private protected static JsonElement? SchemaOf(JsonElement given) => given.ValueKind switch
    {
        JsonValueKind.Object => given,
        JsonValueKind.Undefined or JsonValueKind.Null => null,
        JsonValueKind.String when string.IsNullOrWhiteSpace(given.GetString()) => null,
        _ => throw new WorkflowException("ai.bad_schema", "The schema must be a JSON Schema object.") { IsPermanent = true },
    };

    /// <summary>In whose name the call is made and what it may do: the tenant's and the instance's. Derived activities say more of it with <c>with</c>.</summary>
    private protected virtual ValueTask<CallContext> ContextOfAsync(ActivityContext context) => ValueTask.FromResult(new CallContext
    {
        Tenant = context.Host.Tenant,
        InstanceId = context.Instance.Id,
        Priority = Enum.TryParse<CallPriority>(context.Get(Priority), ignoreCase: true, out var priority) && priority != CallPriority.P0 ? priority : CallPriority.P2,
        // The next turn of an instance finds what the server has of the one before.
        SessionId = context.Instance.Id,
        // A burst that is repeated after a crash makes the same call, and gets the same answer.
        IdempotencyKey = context.IdempotencyKey,
        DataPolicy = context.Get(LocalOnly) ? DataPolicy.LocalOnly : DataPolicy.Any,
        Cache = context.Get(UseCache) ? CachePolicy.Use : CachePolicy.Off,
        MaxCost = context.Get(MaxCost),
    });

    /// <summary>The model that is asked for: an alias, a model's name, or <c>server/model</c>.</summary>
    /// <exception cref="WorkflowException"><c>ai.no_model</c>.</exception>
    private protected virtual string ModelOf(ActivityContext context) => context.Get(Model) is { Length: > 0 } model ? model
        : throw new WorkflowException("ai.no_model", $"{context.Node}: no model is chosen. Write an alias such as smart, or a model's name.") { IsPermanent = true };

    private async Task<T> RunAsync<T>(ActivityContext context, CallReport? given, Func<IInference, CallReport, Task<T>> call)
    {
        var inference = context.Engine.Service<IInference>("call models");
        var report = given ?? new CallReport();
        try
        {
            return await call(inference, report);
        }
        catch (InferenceException exception)
        {
            throw new WorkflowException(exception.Code, $"{context.Node}: {exception.Message}", exception)
            {
                // Whether another attempt may go better: those that are about the request itself will not.
                IsPermanent = exception.Failure is InferenceFailure.BadRequest or InferenceFailure.Forbidden or InferenceFailure.ModelNotFound
                    or InferenceFailure.ContextTooLong or InferenceFailure.BudgetExhausted or InferenceFailure.SchemaMismatch,
                RetryAfter = exception.RetryAfter,
            };
        }
        finally
        {
            context.Set(InputTokens, report.InputTokens);
            context.Set(OutputTokens, report.OutputTokens);
            context.Set(Cost, report.Cost);
            context.Set(UsedModel, report.Model);
            context.Set(UsedServer, report.Server);
        }
    }
}
