using System.Runtime.CompilerServices;
using Conclave.Inference.Providers;
using Conclave.Inference.StructuredOutput;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Gateway;

/// <summary>One answer: goes from server to server until the text is whole, and hands on what is said as one stream.</summary>
internal sealed partial class ChatRun(InferenceGateway gateway, ChatCall call, CallReport report, CallClock clock)
{
    private readonly List<ModelServerException> _failures = [];
    private readonly HashSet<(string Server, string Model)> _tried = [];
    private RoutePlan _plan = CallLimits.Within(call, gateway.Plan(call));
    private RouteCandidate? _candidate;
    private ChatAttempt? _current;
    private AnswerShape _shape = AnswerShape.AsItIs;
    private bool _isReplanned;
    private bool _calledTool;

    /// <summary>Where it goes.</summary>
    public RoutePlan Plan => _plan;

    /// <summary>What is set aside for it.</summary>
    public CallBudget? Budget { get; set; }

    /// <summary>Whether its text so far is in the database.</summary>
    public bool HasStored { get; private set; }

    /// <summary>Streams the answer.</summary>
    /// <param name="snapshot">What an earlier try of the same call has left; null for nothing.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public async IAsyncEnumerable<ChatResponseUpdate> StreamAsync(CallSnapshot? snapshot, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        report.Decision = _plan.Decision;
        if (snapshot is not null)
            yield return Restore(snapshot);
        while (true)
        {
            var attempt = await BeginAsync(cancellationToken);
            try
            {
                while (await attempt.MoveNextAsync())
                {
                    var update = attempt.Current;
                    if (!_shape.Apply(update))
                        continue;
                    Take(update);
                    yield return update;
                }
            }
            finally
            {
                await EndAsync(attempt);
            }

            if (attempt.End == AttemptEnd.Completed)
            {
                gateway.Answered(call.Context, report.CallId, attempt.Candidate);
                break;
            }

            if (attempt.End == AttemptEnd.Yielded)
            {
                await StoreAsync(cancellationToken);
                continue;
            }

            Judge(attempt);
            // It has taken something; so will the next one.
            if (_hasTaken && Budget is { IsCounted: true } budget)
                await budget.ReserveAsync(cancellationToken);
        }

        if (_isUsageMissing)
            yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(_usage)]) { MessageId = _messageId, ResponseId = _responseId };
    }

    private async Task<ChatAttempt> BeginAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var usable = _plan.Candidates.Where(IsUsable).ToList();
            if (usable.Count == 0)
            {
                if (_isReplanned || !TryReplan())
                    throw Exhausted();
                continue;
            }

            if (await AcquireAsync(usable, cancellationToken) is not { } grant)
            {
                foreach (var gone in usable)
                    _tried.Add((gone.Server.Id, gone.Model.Name));
                Note($"{string.Join(", ", usable.Select(c => c.Server.Name).Distinct())} took no more calls while this one waited.");
                continue;
            }

            var candidate = usable.First(c => c.Server.Id == grant.ServerId);
            var server = gateway.Pool.Find(candidate.Server.Id);
            if (server?.TryBegin(candidate.Model.Name) is not { } serverCall)
            {
                grant.Dispose();
                _tried.Add((candidate.Server.Id, candidate.Model.Name));
                Note($"{candidate.Server.Name} {server?.WhyNot(candidate.Model.Name) ?? "is not in the pool any more"}.");
                continue;
            }

            // To go on elsewhere takes what has to be set aside first.
            Func<Task<bool>>? mayYield = Budget is { IsCounted: true } budget ? () => budget.TryReserveAsync(cancellationToken) : null;
            var attempt = new ChatAttempt(
                candidate, grant, serverCall, CanBeMoved && gateway.Options.Preemption, mayYield, gateway.Time, gateway.Draining(call), cancellationToken);
            try
            {
                (_candidate, _current) = (candidate, attempt);
                (report.Server, report.Provider, report.Model, report.IsLocal) = (candidate.Server.Name, candidate.Server.Provider, candidate.Model.Name, candidate.Server.IsLocal);
                report.Tell(CallPhase.Running);
                _shape = AnswerShape.For(call.Options, candidate.Model);
                attempt.Send(_shape.Prepare(MessagesSoFar()), _shape.Prepare(OptionsFor(candidate)));
                clock.Sent();
            }
            catch
            {
                await attempt.DisposeAsync();
                throw;
            }

            return attempt;
        }
    }

    // Text alone can go on elsewhere: not a tool call that has been handed on, and not JSON under a grammar, which begins anew with every request.
    private bool CanBeMoved => !_calledTool && call.Options.ResponseFormat is not ChatResponseFormatJson && _plan.Candidates.Any(CanContinue);

    private bool IsUsable(RouteCandidate candidate) =>
        !_tried.Contains((candidate.Server.Id, candidate.Model.Name)) && (_text.Length == 0 || CanContinue(candidate))
        // One that came after the reservation may be dearer.
        && (Budget is not { IsCounted: true } budget || CallLimits.WorstPrice(call, candidate.Model) <= budget.Slice.Money);

    private static bool CanContinue(RouteCandidate candidate) => candidate.Model.Capabilities is { } can && can.HasFlag(ModelCapabilities.Continue);

    // Servers may have come meanwhile; one look is enough, for a call must end.
    private bool TryReplan()
    {
        _isReplanned = true;
        try
        {
            _plan = CallLimits.Within(call, gateway.Plan(call));
        }
        catch (InferenceException)
        {
            return false;
        }

        return _plan.Candidates.Any(IsUsable);
    }

    private void Judge(ChatAttempt attempt)
    {
        var failure = attempt.Failure!;
        var name = attempt.Candidate.Server.Name;
        _failures.Add(failure);
        _tried.Add((attempt.Candidate.Server.Id, attempt.Candidate.Model.Name));
        gateway.LogServerFailed(report.CallId, name, attempt.Candidate.Model.Name, failure.Failure, failure.Message);
        if (!failure.MayPassElsewhere)
        {
            throw failure.Failure == ModelServerFailure.Refused
                ? new InferenceException(InferenceFailure.BadRequest, "inference.refused", $"{name} refuses the content: {failure.Message}", failure) { Parameter = "messages" }
                : new InferenceException(InferenceFailure.BadRequest, "inference.bad_request", $"{name} does not take the request: {failure.Message}", failure);
        }

        if (_calledTool)
            throw new InferenceException(InferenceFailure.ServerFailed, "inference.cut_in_tool_call", $"{name} failed after it had called a tool: {failure.Message} Nobody else can go on from there; repeat the call.", failure);
        if (_text.Length > 0 && (call.Options.ResponseFormat is ChatResponseFormatJson || !_plan.Candidates.Any(IsUsable)))
            throw new InferenceException(InferenceFailure.ServerFailed, "inference.cut", $"{name} failed in the middle of its answer: {failure.Message} No other server can go on with the text; repeat the call.", failure);
        Note($"{name} failed: {failure.Message}");
    }

    private void Note(string reason)
    {
        _plan = _plan with { Decision = _plan.Decision with { Reasons = [.. _plan.Decision.Reasons, reason] } };
        report.Decision = _plan.Decision;
    }

    private InferenceException Exhausted()
    {
        var what = string.Join(" ", report.Decision!.Reasons.TakeLast(8));
        var last = _failures.Count > 0 ? _failures[^1] : null;
        if (last is not null && _failures.TrueForAll(f => f.Failure == ModelServerFailure.ContextTooLong))
            return new InferenceException(InferenceFailure.ContextTooLong, "inference.context_too_long", $"The conversation is too long for every model that may answer it. {what}", last) { Parameter = "messages" };
        if (last is not null && _failures.TrueForAll(f => f.Failure == ModelServerFailure.ModelNotFound))
            return new InferenceException(InferenceFailure.ModelNotFound, "inference.model_not_found", $"No server has '{call.Model}' any more. {what}", last) { Parameter = "model" };
        var isBusy = _failures.TrueForAll(f => f.Failure == ModelServerFailure.Overloaded);
        var retryAfter = _failures.Select(f => f.RetryAfter).Max() ?? TimeSpan.FromSeconds(isBusy ? 2 : 5);
        return isBusy
            ? new InferenceException(InferenceFailure.Unavailable, "inference.unavailable", $"No server can answer '{call.Model}' right now. {what} Try again in a moment.", last) { RetryAfter = retryAfter }
            : new InferenceException(InferenceFailure.ServerFailed, "inference.server_failed", $"Every server that may answer '{call.Model}' failed. {what}", last) { RetryAfter = retryAfter };
    }
}
