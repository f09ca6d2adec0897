using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Conclave.Cli.Server;

/// <summary><c>conclave test</c>: repeats runs that were made tests, and says what differs.</summary>
internal static class TestCommand
{
    public static Command Create()
    {
        var definition = new Argument<string?>("definitionId") { Description = "Only tests of this workflow.", Arity = ArgumentArity.ZeroOrOne };
        var published = new Option<bool>("--published") { Description = "Run them on published versions; else on the newest, drafts too." };
        var make = new Option<string?>("--make") { Description = "Make a test of this run first: an instance that has ended, or a turn of an agent.", HelpName = "instanceId" };
        var paging = new Paging();
        return ServerCommand.Create(
            "test",
            "Repeat runs that were made tests: the workflow has to do the same with the same answers. Nothing happens outside. The exit code is 3 if one fails.",
            async (session, cancellationToken) =>
            {
                if (session.Get(make) is { } instance)
                    await session.Client.PostAsync(ApiPath.Of("run-tests"), new JsonObject { ["instanceId"] = instance }, cancellationToken);
                var version = session.Get(published) ? "published" : "latest";
                var tests = await paging.ReadAsync(session, () => ApiPath.Of("run-tests").With("definitionId", session.Result.GetValue(definition)), cancellationToken);
                var results = new List<JsonElement>();
                foreach (var test in tests.Items)
                {
                    var result = await session.Client.PostAsync(ApiPath.Of("run-tests", test.Text("id"), "run").With("version", version), body: null, cancellationToken);
                    results.Add(result);
                    if (!session.Screen.IsJson)
                        Show(test, result);
                }

                var failed = results.Count(r => !IsPassed(r));
                if (session.Screen.IsJson)
                    Screen.Json(new JsonObject { ["items"] = new JsonArray([.. tests.Items.Zip(results, (t, r) => new JsonObject { ["id"] = t.Text("id"), ["name"] = t.Text("name"), ["result"] = JsonText.Node(r) })]) });
                else if (results.Count == 0)
                    Screen.Line("No such tests. Make one of a run that has ended: conclave test --make <instanceId>");
                else
                    Screen.Line($"{results.Count - failed} passed, {failed} failed");
                if (tests.Next is not null)
                    Screen.Error("There are more: --all runs them, --limit as many as you like.");
                return failed == 0 ? ExitCodes.Finished : ExitCodes.Refused;
            },
            [definition, published, make, paging.Limit, paging.All]);
    }

    private static bool IsPassed(JsonElement result) => result.Member("passed").ValueKind == JsonValueKind.True;

    private static void Show(JsonElement test, JsonElement result)
    {
        Screen.Line($"{(IsPassed(result) ? "passed" : "FAILED")}  {SafeText.Line(test.Text("name"))}");
        foreach (var difference in result.Member("differences").Items())
        {
            Screen.Line($"        {SafeText.Line(difference.Text("message"))}");
            if (HasValue(difference.Member("expected")) || HasValue(difference.Member("actual")))
                Screen.Line($"          then {Shown(difference, "expected")}\n          now  {Shown(difference, "actual")}");
        }
    }

    private static bool HasValue(JsonElement value) => value.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null);

    private static string Shown(JsonElement difference, string member) =>
        difference.Member(member) is var value && HasValue(value) ? SafeText.Short(SafeText.Line(value.GetRawText()), 300) : "nothing";
}
