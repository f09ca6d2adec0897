namespace Conclave.Benchmarks.Inference.Simulation;

/// <summary>A session of an agent: its calls, each with the whole conversation so far.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Agent">The agent, whose sessions begin with the same system prompt.</param>
/// <param name="SystemTokens">Length of that prompt.</param>
/// <param name="Turns">Its calls.</param>
internal sealed record AgentSession(int Id, int Agent, int SystemTokens, IReadOnlyList<AgentTurn> Turns);

/// <summary>A call of a session.</summary>
/// <param name="Input">Tokens of the conversation that it sends.</param>
/// <param name="Output">Tokens that are written.</param>
/// <param name="Pause">Time from its end to the session's next call: tools, other agents, people.</param>
internal sealed record AgentTurn(int Input, int Output, TimeSpan Pause);

/// <summary>Sessions with the shape of agents' traffic: the median one has 43 calls, reads 142 K tokens in all its calls together, writes 444, and 86 % of the calls are followed by the next within a second.</summary>
/// <remarks>
/// Calls per session are log-normal (σ 0.6, so 90 % lie between 16 and 115), and so is each call's growth of the conversation. The conversation begins with
/// its agent's system prompt (1,200 tokens) and a task (300) and grows by 85 tokens a call at the median: summed over 43 calls that is 142 K.
/// A call writes 10 tokens at the median: most are calls of tools. Pauses within a second are log-normal with median 0.3 s; the other 14 % have median 8 s and a long tail.
/// </remarks>
internal sealed class AgentTraffic(int seed, int agents)
{
    private const int SystemTokens = 1_200;
    private readonly Random _random = new(seed);
    private int _number;

    public AgentSession Next()
    {
        var turns = new List<AgentTurn>();
        var context = SystemTokens + (int)LogNormal(300, 0.5);
        var calls = Math.Clamp((int)Math.Round(LogNormal(43, 0.6)), 1, 400);
        for (var i = 0; i < calls; i++)
        {
            var output = Math.Clamp((int)Math.Round(LogNormal(9.3, 0.5)), 1, 500);
            turns.Add(new AgentTurn(context, output, Pause()));
            context += output + (int)LogNormal(61, 0.8);
        }

        return new AgentSession(_number++, _random.Next(agents), SystemTokens, turns);
    }

    private TimeSpan Pause()
    {
        if (_random.NextDouble() >= 0.86) return TimeSpan.FromSeconds(1 + LogNormal(7, 1.2));
        double seconds;
        do seconds = LogNormal(0.3, 0.7);
        while (seconds > 1);
        return TimeSpan.FromSeconds(seconds);
    }

    private double LogNormal(double median, double sigma)
    {
        var normal = Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble());
        return median * Math.Exp(sigma * normal);
    }
}
