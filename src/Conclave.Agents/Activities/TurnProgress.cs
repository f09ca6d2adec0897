using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Conclave.Workflows.Expressions;

namespace Conclave.Agents.Activities;

/// <summary>How far a turn has come: what its limits and the search for circles need to know. Kept in the workflow variable <c>Turn</c>.</summary>
/// <param name="Steps">Calls of the model.</param>
/// <param name="Cost">What they cost.</param>
/// <param name="Seconds">Time in which models and tools worked; people's time does not count.</param>
/// <param name="Rounds">Fingerprints of the rounds so far, the last one still open: each is of all calls of tools with their arguments and results.</param>
internal sealed record TurnProgress(int Steps, decimal Cost, double Seconds, IReadOnlyList<string> Rounds)
{
    private const string Variable = "Turn";

    // Long enough for the longest circle that is looked for, as often as anybody may allow it.
    private const int MostRounds = 320;

    /// <summary>The progress so far.</summary>
    public static TurnProgress Of(ActivityContext context)
    {
        if (Root(context).GetVariable(Variable) is not { } value || ValueConverter.ToJson(value) is not { ValueKind: JsonValueKind.Object } json)
            return new TurnProgress(0, 0, 0, []);
        return new TurnProgress(
            json.GetProperty("steps").GetInt32(), json.GetProperty("cost").GetDecimal(), json.GetProperty("seconds").GetDouble(),
            [.. json.GetProperty("rounds").EnumerateArray().Select(r => r.GetString()!)]);
    }

    /// <summary>Keeps it.</summary>
    public void Store(ActivityContext context) => Root(context).SetVariable(Variable, ValueConverter.ToJson(new Dictionary<string, object?>
    {
        ["steps"] = Steps,
        ["cost"] = Cost,
        ["seconds"] = Math.Round(Seconds, 3),
        ["rounds"] = Rounds.ToArray(),
    }));

    /// <summary>The workflow itself: activities that are workflows have variables of their own, and are part of the turn all the same.</summary>
    private static ActivityContext Root(ActivityContext context)
    {
        while (context.Parent is { } parent)
            context = parent;
        return context;
    }

    /// <summary>After a call of the model: a new round begins.</summary>
    public TurnProgress Asked(decimal cost, TimeSpan took) => this with
    {
        Steps = Steps + 1,
        Cost = Cost + cost,
        Seconds = Seconds + took.TotalSeconds,
        Rounds = [.. Rounds.Skip(Math.Max(0, Rounds.Count - MostRounds)), ""],
    };

    /// <summary>After work that is no call of the model.</summary>
    public TurnProgress Worked(TimeSpan took) => this with { Seconds = Seconds + took.TotalSeconds };

    /// <summary>After a tool was called: the round has more in it.</summary>
    public TurnProgress Called(string tool, string arguments, string result)
    {
        var open = Rounds.Count > 0 ? Rounds[^1] : "";
        var print = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{open}\n{tool}\n{arguments}\n{result}")).AsSpan(0, 8));
        return this with { Rounds = [.. Rounds.Take(Math.Max(0, Rounds.Count - 1)), print] };
    }

    /// <summary>Whether the last rounds were a circle of one, two or three rounds, gone round so many times.</summary>
    public bool IsCircle(int times)
    {
        for (var length = 1; length <= 3; length++)
        {
            var needed = length * times;
            if (Rounds.Count < needed || times < 2)
                continue;
            var last = Rounds.Skip(Rounds.Count - needed).ToArray();
            if (last.All(r => r.Length > 0) && Enumerable.Range(length, needed - length).All(i => last[i] == last[i - length]))
                return true;
        }

        return false;
    }
}
