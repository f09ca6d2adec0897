namespace Conclave.EndToEnd.Faults;

/// <summary>Definitions of the tests' workflows.</summary>
internal static class Json
{
    /// <summary>A sequence.</summary>
    public static string Workflow(string definitionId, string activities, string more = "") => $$"""
        { "definitionId": "{{definitionId}}", "name": "{{definitionId}}", {{more}}
          "root": { "id": "root", "type": "Elsa.Sequence", "version": 1, "activities": [ {{activities}} ] } }
        """;

    /// <summary>A sequence that is stored after each activity.</summary>
    public static string CommittingWorkflow(string definitionId, int steps) => Workflow(
        definitionId,
        string.Join(", ", Enumerable.Range(1, steps).Select(i => Line($"step{i}"))),
        """ "options": { "commitStrategyName": "ActivityExecuted" }, """);

    public static string Line(string id) => $$"""{ "id": "{{id}}", "type": "Elsa.WriteLine", "version": 1, "text": "{{id}}" }""";

    public static string Event(string id, string name) => $$"""{ "id": "{{id}}", "type": "Elsa.Event", "version": 1, "eventName": "{{name}}" }""";

    public static string Expression(string type, string text) => $$"""{ "typeName": "Object", "expression": { "type": "{{type}}", "value": "{{text}}" } }""";

    public static string Webhook(string path, bool canStart = true) => $$"""
        { "id": "hook", "type": "Elsa.HttpEndpoint", "version": 1, "path": "{{path}}",
          "supportedMethods": { "typeName": "String[]", "expression": { "type": "Object", "value": "[\"POST\"]" } },
          "customProperties": { "canStartWorkflow": {{(canStart ? "true" : "false")}} } }
        """;

    public static string Call(string id, string url) => $$"""
        { "id": "{{id}}", "type": "Elsa.SendHttpRequest", "version": 1, "method": "POST", "url": "{{url}}", "content": "pay" }
        """;

    public static string[] Steps(int count) => [.. Enumerable.Range(1, count).Select(i => $"step{i}")];

    /// <summary>Starts of instances with ids of their own.</summary>
    public static string Starts(string prefix, int first, int count, Func<int, string>? input = null) =>
        $"[{string.Join(',', Enumerable.Range(first, count).Select(i => $$"""{ "instanceId": "{{prefix}}-{{i}}", "input": { {{input?.Invoke(i)}} } }"""))}]";
}
