using System.Text.Json;
using Conclave.Workflows.Activities;
using Conclave.Workflows.Definitions;
using Conclave.Workflows.Expressions;
using Polly;
using Polly.Retry;
using Polly.Timeout;

namespace Conclave.Workflows.Execution;

/// <summary>How often and how an activity is tried again.</summary>
/// <param name="Id">Name that activities refer to.</param>
/// <param name="DisplayName">Name shown to authors.</param>
/// <param name="MaxRetryAttempts">Attempts after the first; 0 to 1,000.</param>
/// <param name="Delay">Time before the first retry.</param>
/// <param name="BackoffType">How the delay grows.</param>
/// <param name="UseJitter">Whether delays are spread at random.</param>
/// <param name="Timeout">Longest time for one attempt; null for no limit.</param>
public sealed record ResilienceStrategy(
    string Id,
    string DisplayName,
    int MaxRetryAttempts = 3,
    TimeSpan Delay = default,
    DelayBackoffType BackoffType = DelayBackoffType.Exponential,
    bool UseJitter = true,
    TimeSpan? Timeout = null);

/// <summary>Retries and time-out of one activity.</summary>
/// <remarks>
/// Read from <c>customProperties</c>: Elsa's <c>resilienceStrategy</c> (<c>{mode: "Identifier", strategyId}</c> or
/// <c>{mode: "Expression", expression}</c>), and ours, <c>retry</c> (<c>{maxRetryAttempts, delay, backoffType, useJitter}</c>) and
/// <c>timeout</c> (a time span). Times are like <c>00:00:30</c>.
/// </remarks>
public sealed class ActivityPolicy
{
    /// <summary>Longest wait that the other side of a call may ask for.</summary>
    private static readonly TimeSpan MaxRetryAfter = TimeSpan.FromMinutes(5);

    /// <summary>What Polly accepts as a time-out.</summary>
    private static readonly TimeSpan ShortestTime = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestTime = TimeSpan.FromDays(1);

    private readonly WorkflowEngine _engine;
    private readonly Attempts? _fixed;
    private readonly Input<object>? _expression;

    private ActivityPolicy(WorkflowEngine engine, ResilienceStrategy? strategy, Input<object>? expression)
    {
        _engine = engine;
        Strategy = strategy;
        _expression = expression;
        _fixed = strategy is null ? null : Build(engine.Time, strategy);
    }

    /// <summary>The strategy; null when an expression decides at run time.</summary>
    public ResilienceStrategy? Strategy { get; }

    /// <summary>The policy of a strategy that the engine knows; null when it knows none of that name.</summary>
    internal static ActivityPolicy? Find(WorkflowEngine engine, string strategyId) =>
        engine.Options.ResilienceStrategies.FirstOrDefault(s => s.Id == strategyId) is { } known ? new ActivityPolicy(engine, known, null) : null;

    internal static ActivityPolicy? Read(JsonElement properties, ActivityConfiguration configuration)
    {
        var timeout = ReadTime(properties, "timeout", configuration);
        if (JsonShapes.TryGet(properties, "retry", out var retry) && retry.ValueKind == JsonValueKind.Object)
            return new ActivityPolicy(configuration.Engine, ReadRetry(retry, timeout, configuration), null);
        if (JsonShapes.TryGet(properties, "resilienceStrategy", out var reference) && reference.ValueKind == JsonValueKind.Object)
        {
            if (JsonShapes.TryGet(reference, "expression", out var expression) && expression.ValueKind == JsonValueKind.Object
                && configuration.CompileInput<object>("resilienceStrategy", expression, isWrapped: false) is { } input)
                return new ActivityPolicy(configuration.Engine, null, input);
            if (JsonShapes.GetString(reference, "strategyId") is { Length: > 0 } id)
            {
                if (configuration.Engine.Options.ResilienceStrategies.FirstOrDefault(s => s.Id == id) is { } known)
                    return new ActivityPolicy(configuration.Engine, known with { Timeout = timeout ?? known.Timeout }, null);
                configuration.Problem("activity.unknown_resilience_strategy", $"The resilience strategy '{id}' does not exist. Known strategies: {string.Join(", ", configuration.Engine.Options.ResilienceStrategies.Select(s => s.Id))}.", "resilienceStrategy");
            }
        }

        return timeout is null ? null : new ActivityPolicy(configuration.Engine, new ResilienceStrategy("", "", 0, Timeout: timeout), null);
    }

    /// <summary>Runs an attempt, and again after each failure as long as the strategy says so.</summary>
    /// <param name="context">The activity that runs.</param>
    /// <param name="attempt">One attempt; called with a token that is cancelled at the time-out.</param>
    /// <param name="cancellationToken">Cancels the whole.</param>
    internal async ValueTask ExecuteAsync(
        ActivityContext context, Func<ActivityContext, CancellationToken, ValueTask> attempt, CancellationToken cancellationToken)
    {
        var (pipeline, retries) = _fixed ?? await ResolveAsync(context);
        ExceptionState? failure = null;
        try
        {
            await pipeline.ExecuteAsync(
                async token =>
                {
                    if (++context.Attempt > 1)
                        context.Instance.Record(context, ExecutionEvent.Retried, failure);
                    context.RetriesLeft = retries + 1 - context.Attempt;
                    try
                    {
                        await attempt(context, token);
                    }
                    catch (Exception exception)
                    {
                        failure = ExceptionState.From(exception);
                        throw;
                    }
                },
                cancellationToken);
        }
        catch (TimeoutRejectedException exception)
        {
            throw new WorkflowException("activity.timeout", $"{context.Node} did not finish within {exception.Timeout}.", exception);
        }
    }

    private async ValueTask<Attempts> ResolveAsync(ActivityContext context)
    {
        var value = await context.EvaluateAsync(_expression!);
        if (value is null)
            return new Attempts(ResiliencePipeline.Empty, 0);
        if (value is string id)
        {
            var known = _engine.Options.ResilienceStrategies.FirstOrDefault(s => s.Id == id)
                ?? throw new WorkflowException("activity.unknown_resilience_strategy", $"The resilience strategy '{id}' does not exist.");
            return Build(_engine.Time, known);
        }

        return Build(_engine.Time, ReadRetry(ValueConverter.ToJson(value), null, null));
    }

    private static ResilienceStrategy ReadRetry(JsonElement retry, TimeSpan? timeout, ActivityConfiguration? configuration)
    {
        var attempts = JsonShapes.TryGet(retry, "maxRetryAttempts", out var given) && given.ValueKind == JsonValueKind.Number && given.TryGetInt32(out var number)
            ? Math.Clamp(number, 0, 1000)
            : 3;
        var backoff = Enum.TryParse<DelayBackoffType>(JsonShapes.GetString(retry, "backoffType"), true, out var parsed) && Enum.IsDefined(parsed)
            ? parsed
            : DelayBackoffType.Exponential;
        return new ResilienceStrategy(
            "",
            "",
            attempts,
            ReadTime(retry, "delay", configuration) ?? TimeSpan.FromSeconds(1),
            backoff,
            JsonShapes.GetBoolean(retry, "useJitter") ?? true,
            timeout ?? ReadTime(retry, "timeout", configuration));
    }

    private static TimeSpan? ReadTime(JsonElement properties, string name, ActivityConfiguration? configuration)
    {
        if (JsonShapes.GetString(properties, name) is not { Length: > 0 } text)
            return null;
        if (TimeSpan.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out var time)
            && time >= ShortestTime && time <= LongestTime)
            return time;
        configuration?.Problem("activity.bad_time", $"'{text}' is not a time span from 10 milliseconds to 24 hours, such as 00:00:30.", name);
        return null;
    }

    private static Attempts Build(TimeProvider time, ResilienceStrategy strategy)
    {
        var builder = new ResiliencePipelineBuilder { TimeProvider = time };
        if (strategy.MaxRetryAttempts > 0)
        {
            builder.AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = strategy.MaxRetryAttempts,
                Delay = strategy.Delay == default ? TimeSpan.FromSeconds(1) : strategy.Delay,
                MaxDelay = TimeSpan.FromMinutes(5),
                BackoffType = strategy.BackoffType,
                UseJitter = strategy.UseJitter,
                ShouldHandle = new PredicateBuilder().Handle<Exception>(e => e is not OperationCanceledException and not FaultException and not WorkflowException { IsPermanent: true }),
                DelayGenerator = arguments => new ValueTask<TimeSpan?>(RetryAfter(arguments.Outcome.Exception)),
            });
        }

        if (strategy.Timeout is { } timeout)
            builder.AddTimeout(timeout);
        return new Attempts(builder.Build(), strategy.MaxRetryAttempts);
    }

    private static TimeSpan? RetryAfter(Exception? exception) => exception is WorkflowException { RetryAfter: { } after }
        ? TimeSpan.FromTicks(Math.Clamp(after.Ticks, 0, MaxRetryAfter.Ticks))
        : null;

    /// <summary>A pipeline and how often it tries again.</summary>
    private sealed record Attempts(ResiliencePipeline Pipeline, int Retries);
}
