using System.Collections.Concurrent;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Gateway;

/// <summary>Sends texts of several calls in one request, when they want the same of a model and come at the same time.</summary>
/// <remarks>A call that comes while nothing of its kind is under way goes at once; those that come meanwhile are collected for the window.</remarks>
internal sealed class EmbedBatcher(InferenceGateway gateway)
{
    private readonly ConcurrentDictionary<Kind, Group> _groups = new();

    /// <summary>Embeds the texts of a call.</summary>
    public async Task<GeneratedEmbeddings<Embedding<float>>> EmbedAsync(EmbedCall call, CallReport report, CancellationToken cancellationToken)
    {
        var size = gateway.Options.EmbeddingBatch;
        var kind = new Kind(call.Context.Tenant, call.Context.Flow, call.Model, call.Dimensions, call.Context.Priority, call.Context.DataPolicy, string.Join(',', call.Context.RequiredTags));
        var members = call.Texts.Chunk(size).Select(texts => new Member(call with { Texts = texts }, cancellationToken)).ToList();
        foreach (var member in members)
            Join(kind, member);
        var vectors = new GeneratedEmbeddings<Embedding<float>>(call.Texts.Count) { Usage = new UsageDetails { InputTokenCount = 0 } };
        foreach (var member in members)
        {
            var part = await member.Done.Task.WaitAsync(cancellationToken);
            vectors.AddRange(part.Vectors);
            vectors.Usage.InputTokenCount += part.InputTokens;
            var source = part.Report;
            (report.Server, report.Provider, report.Model, report.IsLocal, report.Decision) = (source.Server, source.Provider, source.Model, source.IsLocal, source.Decision);
            report.InputTokens += part.InputTokens;
            report.Cost += part.Cost;
            foreach (var slice in source.Slices)
                report.Slices.Add(slice);
        }

        return vectors;
    }

    private void Join(Kind kind, Member member)
    {
        while (true)
        {
            var group = _groups.GetOrAdd(kind, k => new Group(k));
            List<Member>? now = null;
            lock (group)
            {
                if (group.IsGone)
                    continue;
                if (group.Running == 0 || gateway.Options.EmbeddingWindow == TimeSpan.Zero)
                {
                    group.Running++;
                    now = [member];
                }
                else
                {
                    group.Waiting.Add(member);
                    group.WaitingTexts += member.Call.Texts.Count;
                    if (group.WaitingTexts >= gateway.Options.EmbeddingBatch)
                        now = group.Take(gateway.Options.EmbeddingBatch);
                    else
                        group.Timer ??= gateway.Time.CreateTimer(_ => Flush(group), null, gateway.Options.EmbeddingWindow, Timeout.InfiniteTimeSpan);
                }
            }

            if (now is not null)
                Start(group, now);
            return;
        }
    }

    private void Flush(Group group)
    {
        List<Member>? now;
        lock (group)
            now = group.Take(gateway.Options.EmbeddingBatch);
        if (now is not null)
            Start(group, now);
    }

    // Every outcome goes to the members, so nobody has to wait for the task itself.
    private void Start(Group group, List<Member> members) => _ = Task.Run(async () =>
    {
        await RunAsync(members);
        List<Member>? next;
        lock (group)
        {
            group.Running--;
            next = group.Take(gateway.Options.EmbeddingBatch);
            if (group.Running == 0)
            {
                group.IsGone = true;
                _groups.TryRemove(new(group.Kind, group));
            }
        }

        if (next is not null)
            Start(group, next);
    });

    private async Task RunAsync(List<Member> members)
    {
        members.RemoveAll(m => m.Caller.IsCancellationRequested);
        if (members.Count == 0)
            return;
        using var stop = members.Count == 1 ? CancellationTokenSource.CreateLinkedTokenSource(members[0].Caller) : new CancellationTokenSource();
        var first = members[0].Call;
        var report = new CallReport();
        try
        {
            var call = first with { Texts = [.. members.SelectMany(m => m.Call.Texts)], Context = first.Context with { Deadline = members.Count == 1 ? first.Context.Deadline : null } };
            var vectors = await new EmbedRun(gateway, call, report, new CallClock(gateway.Time)).RunAsync(stop.Token);
            var at = 0;
            foreach (var member in members)
            {
                var count = member.Call.Texts.Count;
                // By length: servers count all together.
                var share = report.InputTokens == 0 ? 0 : (double)Tokens.Read(member.Call.Texts) / Math.Max(1, Tokens.Read(call.Texts));
                member.Done.TrySetResult(new Part([.. vectors.Skip(at).Take(count)], (long)Math.Round(report.InputTokens * share), report.Cost * (decimal)share, report));
                at += count;
            }
        }
        catch (InferenceException) when (members.Count > 1)
        {
            // One text that a server does not take must not fail the others.
            foreach (var member in members)
                await RunAsync([member]);
        }
        catch (Exception exception)
        {
            foreach (var member in members)
                member.Done.TrySetException(exception);
        }
    }

    private sealed record Kind(string Tenant, string Flow, string Model, int? Dimensions, CallPriority Priority, DataPolicy Policy, string Tags);

    private sealed record Part(IReadOnlyList<Embedding<float>> Vectors, long InputTokens, decimal Cost, CallReport Report);

    private sealed record Member(EmbedCall Call, CancellationToken Caller)
    {
        public TaskCompletionSource<Part> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class Group(Kind kind)
    {
        public Kind Kind => kind;

        public List<Member> Waiting { get; } = [];

        public int WaitingTexts { get; set; }

        public int Running { get; set; }

        public bool IsGone { get; set; }

        public ITimer? Timer { get; set; }

        // What fits in one request; null when nobody waits. The caller has the lock.
        public List<Member>? Take(int most)
        {
            Timer?.Dispose();
            Timer = null;
            if (Waiting.Count == 0)
                return null;
            var texts = 0;
            var count = 0;
            while (count < Waiting.Count && (count == 0 || texts + Waiting[count].Call.Texts.Count <= most))
                texts += Waiting[count++].Call.Texts.Count;
            var taken = Waiting.GetRange(0, count);
            Waiting.RemoveRange(0, count);
            WaitingTexts -= texts;
            Running++;
            return taken;
        }
    }
}
