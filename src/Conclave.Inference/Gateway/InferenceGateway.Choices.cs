using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Gateway;

/// <content>Several answers to one question: as many calls, each with a slot of its own.</content>
public sealed partial class InferenceGateway
{
    /// <summary>Name of the property of updates that says which answer they belong to, from 0, when there are several.</summary>
    public const string ChoiceProperty = "choice";

    private const string CountProperty = "n";
    private const int MostChoices = 32;

    /// <inheritdoc/>
    public async Task<ChatResponse> ChatAsync(ChatCall call, CallReport report, CancellationToken cancellationToken)
    {
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in StreamAsync(call, report, cancellationToken))
            updates.Add(update);
        if (call.Options.AdditionalProperties?.ContainsKey(CountProperty) != true)
            return updates.ToChatResponse();
        // Answers that were written at the same time, one after the other; what belongs to none, such as the usage, comes last.
        return updates.OrderBy(u => u.AdditionalProperties?.GetValueOrDefault(ChoiceProperty) as int? ?? int.MaxValue).ToChatResponse();
    }

    private static int ChoiceCount(ChatCall call)
    {
        if (call.Options.AdditionalProperties?.GetValueOrDefault(CountProperty) is not JsonElement { ValueKind: JsonValueKind.Number } number)
            return 1;
        return number.TryGetInt32(out var count) && count is >= 1 and <= MostChoices ? count
            : throw new InferenceException(InferenceFailure.BadRequest, "inference.bad_request", $"'n' must be a whole number from 1 to {MostChoices}.") { Parameter = CountProperty };
    }

    private async IAsyncEnumerable<ChatResponseUpdate> StreamChoicesAsync(ChatCall call, int count, CallReport report, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var options = call.Options.Clone();
        options.AdditionalProperties!.Remove(CountProperty);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var usage = new UsageDetails();
        var updates = Channel.CreateBounded<ChatResponseUpdate>(count * 4);
        var reports = Enumerable.Range(0, count).Select(_ => new CallReport()).ToArray();
        var running = Task.WhenAll(Enumerable.Range(0, count).Select(RunAsync)).ContinueWith(
            all => updates.Writer.TryComplete(all.Exception?.InnerException), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            await foreach (var update in updates.Reader.ReadAllAsync(cancellationToken))
            {
                if (report.Server is null)
                    Combine();
                yield return update;
            }

            Combine();
            yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(usage)]) { MessageId = $"{report.CallId}-{count - 1}" };
        }
        finally
        {
            await stop.CancelAsync();
            await running;
            Combine();
            report.Tell(cancellationToken.IsCancellationRequested ? CallPhase.Cancelled : reports.All(r => r.Phase == CallPhase.Completed) ? CallPhase.Completed : CallPhase.Failed);
        }

        async Task RunAsync(int index)
        {
            var context = call.Context.IdempotencyKey is { } key ? call.Context with { IdempotencyKey = $"{key}/{index}" } : call.Context;
            // Equal calls would all get the same cached answer.
            context = context with { Cache = CachePolicy.Off, ParentId = call.Context.ParentId ?? report.CallId };
            try
            {
                await foreach (var update in StreamAsync(call with { Context = context, Options = options }, reports[index], stop.Token))
                {
                    foreach (var content in update.Contents.OfType<UsageContent>().ToList())
                    {
                        lock (usage)
                            usage.Add(content.Details);
                        update.Contents.Remove(content);
                    }

                    (update.AdditionalProperties ??= [])[ChoiceProperty] = index;
                    update.MessageId = $"{report.CallId}-{index}";
                    await updates.Writer.WriteAsync(update, stop.Token);
                }
            }
            catch
            {
                await stop.CancelAsync();
                throw;
            }
        }

        void Combine()
        {
            var first = Array.Find(reports, r => r.Server is not null) ?? reports[0];
            (report.Server, report.Provider, report.Model, report.IsLocal, report.Decision) = (first.Server, first.Provider, first.Model, first.IsLocal, first.Decision);
            (report.InputTokens, report.OutputTokens, report.CachedInputTokens) = (reports.Sum(r => r.InputTokens), reports.Sum(r => r.OutputTokens), reports.Sum(r => r.CachedInputTokens));
            (report.Cost, report.TimeToFirstToken) = (reports.Sum(r => r.Cost), reports.Min(r => r.TimeToFirstToken));
            report.Overhead = reports.Max(r => r.Overhead);
        }
    }
}
