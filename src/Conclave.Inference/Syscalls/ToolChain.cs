using System.Text.Json;
using Conclave.Workflows.Expressions;
using Microsoft.Extensions.AI;

namespace Conclave.Inference.Syscalls;

/// <summary>AIOS's chains of model and tools: the model calls tools until it answers. Every step has a key, so that whoever takes the syscall up again repeats none.</summary>
/// <param name="inference">Who is asked.</param>
/// <param name="tools">Calls tools.</param>
internal sealed class ToolChain(IInference inference, ISyscallTools tools)
{
    /// <summary>After so many rounds of calls the model has to answer with what it has.</summary>
    private const int MostRounds = 8;

    /// <summary>Works until there is an answer.</summary>
    public async Task<string> AnswerAsync(Syscall syscall, JsonElement query, CallReport report, CancellationToken cancellationToken)
    {
        var call = SyscallQuery.Read(query, syscall);
        var offered = await tools.OfferAsync(syscall, SyscallQuery.ToolNames(query), cancellationToken);
        var messages = call.Messages.ToList();
        var runs = new List<SyscallToolRun>();
        for (var round = 0; ; round++)
        {
            var options = call.Options.Clone();
            options.Tools = round < MostRounds ? [.. offered] : null;
            var response = await AskAsync(call with { Messages = [.. messages], Options = options, Context = call.Context with { IdempotencyKey = Key(syscall, round) } }, report, cancellationToken);
            var wanted = response.Messages.SelectMany(m => m.Contents).OfType<FunctionCallContent>().ToList();
            if (wanted.Count == 0 || round == MostRounds)
                return SyscallQuery.Write(response, runs: runs);
            messages.AddRange(response.Messages);
            for (var i = 0; i < wanted.Count; i++)
            {
                var run = await tools.CallAsync(syscall, $"{Key(syscall, round)}/{i}", wanted[i].Name, ValueConverter.ToJson(wanted[i].Arguments ?? new Dictionary<string, object?>()), cancellationToken);
                runs.Add(run);
                messages.Add(new ChatMessage(ChatRole.Tool, [new FunctionResultContent(wanted[i].CallId, run.Text)]));
            }
        }
    }

    /// <summary>Asks the model; the report counts all rounds.</summary>
    private async Task<ChatResponse> AskAsync(ChatCall call, CallReport report, CancellationToken cancellationToken)
    {
        var own = new CallReport { Changed = report.Changed };
        try
        {
            return await inference.ChatAsync(call, own, cancellationToken);
        }
        finally
        {
            foreach (var slice in own.Slices)
                report.Slices.Add(slice);
        }
    }

    private static string Key(Syscall syscall, int round) => $"syscall/{syscall.Pid}/{round}";
}
