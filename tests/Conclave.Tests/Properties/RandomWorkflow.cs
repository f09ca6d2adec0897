using System.Text.Json.Nodes;

namespace Conclave.Tests.Properties;

/// <summary>Makes workflows at random: the same seed makes the same workflow.</summary>
/// <param name="seed">Seed.</param>
internal sealed class RandomWorkflow(int seed)
{
    private static readonly string[] JoinModes = ["WaitAll", "WaitAllActive", "WaitAny"];
    private static readonly string[] MergeModes = ["None", "Stream", "Merge", "Converge", "Cascade", "Race"];

    private readonly Random _random = new(seed);
    private readonly List<JsonObject> _variables = [Json.Variable("n", "Int32", 0)];
    private int _left;
    private int _next;

    /// <summary>A flowchart of everything: forks, joins, decisions, loops, composites, bookmarks, faults.</summary>
    public JsonObject Anything()
    {
        _left = 60;
        var root = Flowchart(0, _random.Next(2, 30), inLoop: false);
        return Json.Workflow(root, [.. _variables]).With(("options", new JsonObject
        {
            ["incidentStrategyType"] = _random.Next(2) == 0 ? "FaultStrategy" : "ContinueWithIncidentsStrategy",
        }));
    }

    /// <summary>A flowchart without loops and composites, in which every activity can be reached.</summary>
    public JsonObject Acyclic()
    {
        var nodes = Enumerable.Range(0, _random.Next(2, 40)).Select(i => i > 0 && _random.Next(4) == 0 ? Join() : FlowStep()).ToArray();
        return Json.Workflow(Json.Flowchart("flow", nodes, [.. Forward(nodes).Order(StringComparer.Ordinal)]), [.. _variables]);
    }

    private JsonObject Flowchart(int depth, int size, bool inLoop)
    {
        var nodes = new List<JsonObject>();
        while (nodes.Count < size && (_left > 0 || nodes.Count == 0))
        {
            _left--;
            nodes.Add(_random.Next(10) switch
            {
                < 3 when nodes.Count > 0 => Join(),
                < 6 => FlowStep(),
                _ => Activity(depth + 1, inLoop),
            });
            if (_random.Next(4) == 0)
                nodes[^1]["customProperties"] = new JsonObject { ["mergeMode"] = Pick(MergeModes) };
        }

        var connections = Forward([.. nodes]).Order(StringComparer.Ordinal).ToList();
        AddLoops(nodes, connections);
        return Json.Flowchart(Id("flow"), [.. nodes], [.. connections]);
    }

    /// <summary>Every activity but the first has a connection from an earlier one; some have more.</summary>
    private HashSet<string> Forward(JsonObject[] nodes)
    {
        var connections = new HashSet<string>();
        for (var target = 1; target < nodes.Length; target++)
        {
            for (var inbound = _random.Next(1, 4); inbound > 0; inbound--)
                connections.Add(Connect(nodes[_random.Next(Math.Max(0, target - 6), target)], nodes[target]));
        }

        return connections;
    }

    /// <summary>Backward connections from decisions that count, to activities that every path to them passes.</summary>
    private void AddLoops(List<JsonObject> nodes, List<string> connections)
    {
        for (var source = 1; source < nodes.Count; source++)
        {
            if (_random.Next(3) != 0)
                continue;
            var target = _random.Next(source);
            if (target != 0 && ReachesWithout(nodes, connections, source, target))
                continue;
            var counter = Counter();
            var decision = Json.Activity("FlowDecision", Id("again"), ("condition", Json.Test($"++{counter}<{_random.Next(2, 4)}")));
            connections.Add(Connect(nodes[source], decision));
            connections.Add($"{decision["id"]}:True->{nodes[target]["id"]}");
            nodes.Add(decision);
            return;
        }
    }

    private static bool ReachesWithout(List<JsonObject> nodes, List<string> connections, int goal, int avoided)
    {
        string IdOf(int place) => (string)nodes[place]["id"]!;
        var reached = new HashSet<string> { IdOf(0) };
        for (var grows = true; grows;)
        {
            grows = false;
            foreach (var connection in connections)
            {
                var ends = connection.Split("->");
                if (reached.Contains(ends[0].Split(':')[0]) && ends[1] != IdOf(avoided))
                    grows |= reached.Add(ends[1]);
            }
        }

        return reached.Contains(IdOf(goal));
    }

    private string Connect(JsonObject source, JsonObject target)
    {
        string[] ports = (string)source["type"]! switch
        {
            "Elsa.FlowDecision" => ["True", "False"],
            "Elsa.FlowSwitch" => ["A", "B", "Default"],
            "Elsa.FlowFork" => ["One", "Two", "Three"],
            _ => ["Done"],
        };
        return $"{source["id"]}:{Pick(ports)}->{target["id"]}";
    }

    private JsonObject FlowStep() => _random.Next(7) switch
    {
        0 => Json.Activity("FlowDecision", Id("if"), ("condition", Json.Test(Condition()))),
        1 => Json.Activity(
            "FlowSwitch",
            Id("switch"),
            ("cases", new JsonArray(Json.Case("A", Condition()), Json.Case("B", Condition()))),
            ("mode", Json.Literal(Pick("MatchFirst", "MatchAny")))),
        2 or 3 => Json.Activity("FlowFork", Id("fork"), ("branches", Json.Expression("Object", "[\"One\",\"Two\",\"Three\"]"))),
        4 => Json.Event(Id("event")),
        _ => Step(),
    };

    private JsonObject Join() => Json.Activity("FlowJoin", Id("join"), ("mode", Json.Literal(Pick(JoinModes))));

    private JsonObject Step() => _random.Next(2) == 0 ? Json.Write(Id("write"), Json.Variable("n")) : Json.Set(Id("set"), "n", Json.Test("n+1"));

    private JsonObject Activity(int depth, bool inLoop)
    {
        _left--;
        if (depth > 4 || _left <= 0)
            return Step();
        switch (_random.Next(24))
        {
            case 0:
                return Json.Event(Id("event"));
            case 1:
                return Json.Delay(Id("delay"), $"00:00:{_random.Next(10, 59)}");
            case 2 or 3:
                return Json.Sequence(Id("sequence"), Some(depth, inLoop));
            case 4:
                return Json.Activity("Parallel", Id("parallel"), ("activities", new JsonArray(Some(depth, inLoop))));
            case 5 or 6:
                return Json.Activity("If", Id("if"), ("condition", Json.Test(Condition())), ("then", Activity(depth + 1, inLoop)), ("else", Activity(depth + 1, inLoop)));
            case 7:
                return Json.Activity("For", Id("for"), ("start", 1), ("end", _random.Next(0, 4)), ("body", Activity(depth + 1, true)));
            case 8:
                return Json.Activity("ForEach", Id("each"), ("items", Json.Expression("Object", "[1,2]")), ("body", Activity(depth + 1, true)));
            case 9:
                return Json.Activity("ParallelForEach", Id("parallelEach"), ("items", Json.Expression("Object", "[1,2,3]")), ("body", Activity(depth + 1, true)));
            case 10 or 11:
                return Json.Activity("While", Id("while"), ("condition", Json.Test($"++{Counter()}<{_random.Next(1, 4)}")), ("body", Activity(depth + 1, true)));
            case 12:
                return Json.Activity("Fork", Id("fork"), ("branches", new JsonArray(Some(depth, true))), ("joinMode", Pick("WaitAll", "WaitAny")));
            case 13:
                return Json.Activity(
                    "Switch",
                    Id("switch"),
                    ("cases", new JsonArray(Json.Case("A", Condition(), Activity(depth + 1, inLoop)), Json.Case("B", Condition(), Activity(depth + 1, inLoop)))),
                    ("mode", Pick("MatchFirst", "MatchAny")),
                    ("default", Activity(depth + 1, inLoop)));
            case 14 or 15:
                return Flowchart(depth, _random.Next(1, 8), inLoop);
            case 16:
                return Json.Activity("FlowNode", Id("node"), ("body", Activity(depth + 1, inLoop)));
            case 17 when inLoop:
                return Json.Activity("Break", Id("break"));
            case 18 when _random.Next(4) == 0:
                return Json.Activity("Fault", Id("fault"), ("message", Json.Literal("on purpose")));
            case 19 when _random.Next(8) == 0:
                return Json.Activity(Pick("Finish", "Complete", "End"), Id("end"));
            case 20:
                return Json.Activity("SetOutput", Id("output"), ("outputName", Pick("x", "y")), ("outputValue", Json.Variable("n")));
            default:
                return Step();
        }
    }

    private JsonNode[] Some(int depth, bool inLoop) =>
        [.. Enumerable.Range(0, _random.Next(0, 4)).Select(_ => Activity(depth + 1, inLoop))];

    private string Condition() => Pick("true", "false", "n%2=0", "n%3=1", "n<5");

    private string Counter()
    {
        var name = $"c{_variables.Count}";
        _variables.Add(Json.Variable(name, "Int32", 0));
        return name;
    }

    private string Id(string kind) => $"{kind}{_next++}";

    private string Pick(params string[] choices) => choices[_random.Next(choices.Length)];
}
