using Conclave.Inference.Telemetry;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Gateway;

public sealed partial class InferenceGateway
{
    /// <summary>What surrounds a call: its deadline, its clock, and the record of how it ended.</summary>
    private sealed class CallScope : IDisposable
    {
        private readonly InferenceGateway _gateway;
        private readonly CallContext _context;
        private readonly string _operation;
        private readonly string _requested;
        private readonly CallReport _report;
        private readonly CancellationToken _callerEnds;
        private readonly Deadline? _deadline;
        private readonly DateTimeOffset _createdAt;
        private readonly System.Diagnostics.Activity? _span;
        private readonly List<ChatResponseUpdate>? _said;
        private ChatFinishReason? _finish;
        private UsageDetails? _usage;
        private CallPhase _outcome = CallPhase.Cancelled;
        private string? _error;

        public CallScope(InferenceGateway gateway, CallContext context, string operation, string requested, CallReport report, ChatCall? chat, CancellationToken cancellationToken)
        {
            (_gateway, _context, _operation, _requested, _report, _callerEnds) = (gateway, context, operation, requested, report, cancellationToken);
            gateway.Begin(report.CallId);
            Clock = new CallClock(gateway.Time);
            _createdAt = gateway.Time.GetUtcNow();
            _span = GenAITelemetry.Begin(operation, requested, context, chat, GenAITelemetry.CapturesContent);
            _said = GenAITelemetry.CapturesContent && _span is { IsAllDataRequested: true } ? [] : null;
            _deadline = context.Deadline is { } at ? new Deadline(at, gateway.Time, cancellationToken) : null;
            Token = _deadline?.Token ?? cancellationToken;
        }

        public CallClock Clock { get; }

        /// <summary>Ends the call: its caller went away, or its deadline passed.</summary>
        public CancellationToken Token { get; }

        /// <summary>Routes the call, which may be refused.</summary>
        public T Begin<T>(Func<T> begin)
        {
            try
            {
                return begin();
            }
            catch (Exception exception)
            {
                if (Failed(exception) is { } failure)
                    throw failure;
                throw;
            }
        }

        public async ValueTask<bool> MoveNextAsync(IAsyncEnumerator<ChatResponseUpdate> updates)
        {
            try
            {
                if (await updates.MoveNextAsync())
                {
                    if (_span is not null)
                        Note(updates.Current);
                    return true;
                }

                _outcome = CallPhase.Completed;
                return false;
            }
            catch (Exception exception)
            {
                if (Failed(exception) is { } failure)
                    throw failure;
                throw;
            }
        }

        public async Task<T> RunAsync<T>(Task<T> task)
        {
            try
            {
                var result = await task;
                _outcome = CallPhase.Completed;
                return result;
            }
            catch (Exception exception)
            {
                if (Failed(exception) is { } failure)
                    throw failure;
                throw;
            }
        }

        public void End()
        {
            _report.Overhead = Clock.Busy;
            _report.Tell(_outcome);
            var record = new CallRecord
            {
                Id = _report.CallId,
                Context = _context,
                Operation = _operation,
                Requested = _requested,
                Model = _report.Model,
                Server = _report.Server,
                Provider = _report.Provider,
                IsLocal = _report.IsLocal,
                Outcome = _outcome,
                Error = _error,
                CreatedAt = _createdAt,
                EndedAt = _gateway.Time.GetUtcNow(),
                Slices = [.. _report.Slices],
                // What was paid already is not counted twice.
                InputTokens = _report.Cache == CacheOutcome.Miss ? _report.InputTokens : 0,
                OutputTokens = _report.Cache == CacheOutcome.Miss ? _report.OutputTokens : 0,
                CachedInputTokens = _report.Cache == CacheOutcome.Miss ? _report.CachedInputTokens : 0,
                Cost = _report.Cache == CacheOutcome.Miss ? _report.Cost : 0,
                Cache = _report.Cache,
                TimeToFirstToken = _report.TimeToFirstToken,
                Overhead = _report.Overhead,
                Decision = _report.Decision,
            };
            var server = _span is { IsAllDataRequested: true } && record.Server is { } name ? _gateway.Pool.FindByName(name)?.Server.Address : null;
            GenAITelemetry.End(_span, record, server, _usage, _finish, _said?.ToChatResponse());
            _gateway.End(record);
        }

        public void Dispose() => _deadline?.Dispose();

        private void Note(ChatResponseUpdate update)
        {
            _said?.Add(update);
            _finish = update.FinishReason ?? _finish;
            foreach (var content in update.Contents)
                _usage = (content as UsageContent)?.Details ?? _usage;
        }

        // Null for one that goes on as it is.
        private InferenceException? Failed(Exception exception)
        {
            if (_callerEnds.IsCancellationRequested)
                return null;
            if (exception is OperationCanceledException && _deadline is { HasPassed: true })
            {
                exception = new InferenceException(
                    InferenceFailure.DeadlineExceeded, "inference.deadline_exceeded",
                    $"The call's deadline passed {(_report.Phase == CallPhase.Queued ? "while it waited for a slot" : "while a model worked on it")}. Allow more time, or choose a faster model.", exception);
            }

            _outcome = CallPhase.Failed;
            if (exception is InferenceException failure)
            {
                _error = failure.Code;
                return failure;
            }

            _error = "inference.failed";
            _gateway.LogUnexpected(_report.CallId, exception);
            return new InferenceException(InferenceFailure.ServerFailed, _error, "The gateway could not finish the call. Its log has the details under the call's id.", exception);
        }
    }
}
