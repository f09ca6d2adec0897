using Conclave.Workflows.Execution;
using Xunit.Abstractions;

namespace Conclave.Tests.Properties;

/// <summary>What holds for every workflow, tried on random ones. A failure names the seed that repeats it.</summary>
public sealed class RandomRunTests(ITestOutputHelper output)
{
    private const int Batch = 100;

    /// <summary>Fixed seeds, and one that differs from run to run.</summary>
    public static TheoryData<int, FlowchartMode> Seeds
    {
        get
        {
            var seeds = new TheoryData<int, FlowchartMode>();
            foreach (var seed in (int[])[1, 1_000, 2_000, 3_000, 0])
            {
                seeds.Add(seed, FlowchartMode.Counter);
                seeds.Add(seed, FlowchartMode.Token);
            }

            return seeds;
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Run_AnyWorkflow_EndsOrWaits(int seed, FlowchartMode mode)
    {
        var ends = new Dictionary<string, int>();
        foreach (var each in From(seed))
        {
            var story = await TrialOf(each).RunAsync(mode, restores: false);
            var end = story[(story.LastIndexOf('\n') + 1)..];
            ends[end] = ends.GetValueOrDefault(end) + 1;
            Assert.True(end is "Finished" or "Faulted" or "Suspended" or "goes on and on", $"seed {each}, {mode}: {end}");
            // Tokens may wait for others that never come; counters never do, except beside a faulted activity.
            if (mode == FlowchartMode.Counter && end == "Suspended")
                Assert.True(story.Contains("incident ", StringComparison.Ordinal), $"seed {each} waits for nothing");
        }

        output.WriteLine(string.Join(", ", ends));
        Assert.True(ends["Finished"] > Batch / 4, "Most random workflows never finish, so that they show little.");
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Run_StoredAndRestoredAfterEveryActivity_TellsTheSame(int seed, FlowchartMode mode)
    {
        var restores = 0;
        foreach (var each in From(seed))
        {
            var expected = await TrialOf(each).RunAsync(mode, restores: false);
            var trial = TrialOf(each);
            // Long runs say no more than short ones and take time.
            if (expected.Length > 100_000)
                continue;

            var actual = await trial.RunAsync(mode, restores: true);

            restores += trial.Restores;
            if (expected != actual)
                Assert.Fail($"seed {each}, {mode}:\n{Difference(expected, actual)}\n{new RandomWorkflow(each).Anything()}");
        }

        Assert.True(restores > Batch, $"Only {restores} activities were followed by another.");
    }

    [Theory]
    [InlineData(FlowchartMode.Counter)]
    [InlineData(FlowchartMode.Token)]
    public async Task Run_ManyInstancesOfOneGraphAtOnce_TellTheSame(FlowchartMode mode)
    {
        foreach (var seed in Enumerable.Range(5_000, 20))
        {
            var graph = Trial.Engine.Compile(new RandomWorkflow(seed).Anything().Read());
            var expected = await new Trial(Trial.Engine, graph).RunAsync(mode, restores: false);
            if (expected.Length > 100_000)
                continue;

            var stories = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => new Trial(Trial.Engine, graph).RunAsync(mode, restores: i % 4 == 0))));

            Assert.All(stories, story => Assert.True(story == expected, $"seed {seed}, {mode}"));
        }
    }

    [Theory]
    [InlineData(10_000)]
    [InlineData(0)]
    public async Task Run_CounterFlowchart_RunsExactlyWhatItsRulesSay(int seed)
    {
        foreach (var each in From(seed))
        {
            var workflow = new RandomWorkflow(each).Acyclic();
            foreach (var resumes in (bool[])[false, true])
            {
                var run = await Trial.Engine.RunAsync(workflow, new WorkflowStart { FlowchartMode = FlowchartMode.Counter });
                if (resumes)
                    await run.ResumeAllAsync(CancellationToken.None);
                if (FlowchartRules.Broken(workflow["root"]!, run.Instance) is { } broken)
                    Assert.Fail($"seed {each}: {broken}\n{workflow}");
            }
        }
    }

    private IEnumerable<int> From(int seed)
    {
        var first = seed != 0 ? seed : Random.Shared.Next(1_000_000, int.MaxValue - Batch);
        output.WriteLine($"seeds from {first}");
        return Enumerable.Range(first, Batch);
    }

    private static Trial TrialOf(int seed) => new(Trial.Engine, Trial.Engine.Compile(new RandomWorkflow(seed).Anything().Read()));

    private static string Difference(string expected, string actual)
    {
        var (left, right) = (expected.Split('\n'), actual.Split('\n'));
        var place = 0;
        while (place < Math.Min(left.Length, right.Length) && left[place] == right[place])
            place++;
        return $"line {place}\nat once:  {string.Join("\n          ", left.Skip(place - 3).Take(7))}\nrestored: {string.Join("\n          ", right.Skip(place - 3).Take(7))}";
    }
}
