using System.Threading.Channels;
using Conclave.Inference;
using Conclave.Server.Api;
using Microsoft.Extensions.AI;

namespace Conclave.Server.Inference.OpenAI;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal static class ChatEndpoint
{
    public static async Task HandleAsync(HttpContext context)
    {
        var request = ChatRequest.Read(await context.ReadObjectAsync());
        var caller = CallContexts.Read(context, request.Session);
        var limit = context.RequestServices.GetRequiredService<RateLimits>().Enter(context, caller);
        var watch = new QueueWatch();
        var calls = Enumerable.Range(0, request.Choices).Select(index => new ChoiceCall(
            index,
            new ChatCall(ForChoice(caller, index), request.Model, request.Messages, request.Options),
            new CallReport { Changed = watch.Take })).ToList();
        if (request.IsStream)
            await StreamAsync(context, request, calls, watch, limit);
        else
            await AnswerAsync(context, request, calls, watch, limit);
    }

    private static async Task AnswerAsync(HttpContext context, ChatRequest request, List<ChoiceCall> calls, QueueWatch watch, RateLimitHold limit)
    {
        var answers = calls.Count == 1
            ? [await context.AnswerAsync(calls[0].Call, calls[0].Report, context.RequestAborted)]
            : await TogetherAsync(context, calls);
        limit.Spend(answers.Sum(answer => answer.Usage?.TotalTokenCount ?? 0));
        CallHeaders.Write(context.Response, calls[0].Report, watch);
        var answer = new ChatAnswer(calls[0].Report, request, context.Clock().GetUtcNow());
        await context.WriteJsonAsync(writer => answer.Write(writer, answers));
    }

    /// <summary>All answers, or the first failure; the others are then cancelled.</summary>
    private static async Task<ChatResponse[]> TogetherAsync(HttpContext context, List<ChoiceCall> calls)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        var running = calls.Select(call => context.AnswerAsync(call.Call, call.Report, stop.Token)).ToList();
        try
        {
            var left = running.ToList();
            while (left.Count > 0)
            {
                var done = await Task.WhenAny(left);
                await done;
                left.Remove(done);
            }
        }
        catch
        {
            await stop.CancelAsync();
            await Task.WhenAll(running).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            throw;
        }

        return await Task.WhenAll(running);
    }

    private static async Task StreamAsync(HttpContext context, ChatRequest request, List<ChoiceCall> calls, QueueWatch watch, RateLimitHold limit)
    {
        using var stream = EventStream.Events(context.Response);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        var cancellationToken = stop.Token;
        var pieces = (calls.Count == 1 ? Pieces(context, calls[0], cancellationToken) : Merged(context, calls, cancellationToken)).GetAsyncEnumerator(cancellationToken);
        var answer = new ChatAnswer(calls[0].Report, request, context.Clock().GetUtcNow());
        UsageDetails? usage = null;
        var begun = new HashSet<int>();
        var callCounts = new int[calls.Count];
        try
        {
            var has = await FirstAsync(context, pieces, stream, watch);
            CallHeaders.Write(context.Response, calls[0].Report, watch);
            for (; has; has = await pieces.MoveNextAsync())
            {
                var (choice, update) = pieces.Current;
                if (update is null)
                {
                    await stream.WriteAsync(answer.WriteChunk, new Chunk(choice) { IsFirst = begun.Add(choice), FinishReason = ChatAnswer.FinishReason(calls[choice].FinishReason, callCounts[choice] > 0) }, cancellationToken);
                    continue;
                }

                if (Read(choice, update, ref callCounts[choice], calls[choice], ref usage) is { } chunk)
                    await stream.WriteAsync(answer.WriteChunk, chunk with { IsFirst = begun.Add(choice) }, cancellationToken);
            }

            if (request.IncludesUsage)
                await stream.WriteAsync(answer.WriteUsageChunk, usage, cancellationToken);
            await stream.WriteDoneAsync(cancellationToken);
        }
        catch (Exception exception) when (context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            // The status is out already; clients of this protocol look for an error in the stream.
            await stream.WriteAsync(OpenAIErrors.Write, OpenAIErrors.Describe(context, exception), context.RequestAborted);
        }
        finally
        {
            await stop.CancelAsync();
            await pieces.DisposeAsync();
            limit.Spend(usage?.TotalTokenCount ?? 0);
        }
    }

    /// <summary>Waits for the first piece; who asked for it hears meanwhile, in comments, where the call is in the queue.</summary>
    private static async ValueTask<bool> FirstAsync(HttpContext context, IAsyncEnumerator<(int, ChatResponseUpdate?)> pieces, EventStream stream, QueueWatch watch)
    {
        if (!context.Request.Headers["x-conclave-progress"].ToString().Equals("true", StringComparison.OrdinalIgnoreCase))
            return await pieces.MoveNextAsync();
        var moves = Channel.CreateBounded<(int Position, TimeSpan? Wait)>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });
        watch.Moved = report => moves.Writer.TryWrite((report.QueuePosition, report.ExpectedWait));
        var first = pieces.MoveNextAsync().AsTask();
        while (!first.IsCompleted)
        {
            var moved = moves.Reader.WaitToReadAsync(context.RequestAborted).AsTask();
            if (await Task.WhenAny(first, moved) == first)
                break;
            if (await moved && moves.Reader.TryRead(out var place))
            {
                var wait = place.Wait is { } time ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $" expected-wait-ms={time.TotalMilliseconds:0}") : "";
                await stream.WriteCommentAsync(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"queued position={place.Position}{wait}"), context.RequestAborted);
            }
        }

        moves.Writer.Complete();
        return await first;
    }

    private static Chunk? Read(int choice, ChatResponseUpdate update, ref int callCount, ChoiceCall call, ref UsageDetails? usage)
    {
        call.FinishReason = update.FinishReason ?? call.FinishReason;
        string? text = null;
        string? reasoning = null;
        List<(FunctionCallContent, int)>? calls = null;
        foreach (var content in update.Contents)
        {
            switch (content)
            {
                case TextReasoningContent thought:
                    reasoning += thought.Text;
                    break;
                case TextContent part:
                    text += part.Text;
                    break;
                case FunctionCallContent function:
                    (calls ??= []).Add((function, callCount++));
                    break;
                case UsageContent counted:
                    (usage ??= new UsageDetails()).Add(counted.Details);
                    break;
            }
        }

        return string.IsNullOrEmpty(text) && string.IsNullOrEmpty(reasoning) && calls is null
            ? null
            : new Chunk(choice) { Text = text, Reasoning = reasoning, Calls = calls, Properties = update.AdditionalProperties };
    }

    /// <summary>The updates of a call, and null once it is over.</summary>
    private static async IAsyncEnumerable<(int Choice, ChatResponseUpdate? Update)> Pieces(
        HttpContext context, ChoiceCall call, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var update in context.StreamAsync(call.Call, call.Report, cancellationToken))
            yield return (call.Index, update);
        yield return (call.Index, null);
    }

    /// <summary>The updates of several calls as they come.</summary>
    private static async IAsyncEnumerable<(int Choice, ChatResponseUpdate? Update)> Merged(
        HttpContext context, List<ChoiceCall> calls, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var merged = Channel.CreateBounded<(int, ChatResponseUpdate?)>(64);
        var running = Task.WhenAll(calls.Select(async call =>
        {
            try
            {
                await foreach (var piece in Pieces(context, call, stop.Token))
                    await merged.Writer.WriteAsync(piece, stop.Token);
            }
            catch (Exception exception)
            {
                merged.Writer.TryComplete(exception);
                await stop.CancelAsync();
            }
        })).ContinueWith(_ => merged.Writer.TryComplete(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            await foreach (var piece in merged.Reader.ReadAllAsync(cancellationToken))
                yield return piece;
        }
        finally
        {
            await stop.CancelAsync();
            await running;
        }
    }

    // Each answer is a call of its own, so that a repeated one is recognised too.
    private static CallContext ForChoice(CallContext caller, int index) =>
        index == 0 || caller.IdempotencyKey is not { } key ? caller : caller with { IdempotencyKey = $"{key}/{index}" };

    private sealed record ChoiceCall(int Index, ChatCall Call, CallReport Report)
    {
        public ChatFinishReason? FinishReason { get; set; }
    }
}
