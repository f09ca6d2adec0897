using Conclave.Workflows.Expressions.Scripting;

namespace Conclave.Tests.Expressions.Scripting;

/// <summary>What scripts read from a workflow and write back to it.</summary>
[Collection(ScriptTests.Name)]
public sealed class JavaScriptScopeTests(ScriptPool scripts)
{
    private const string Scope = """
        {
          "workflow": { "definitionId": "d1", "definitionVersionId": "dv1", "version": 3, "instanceId": "i1",
                        "correlationId": "c1", "instanceName": "n1" },
          "variables": {
            "counter": { "v": 41 },
            "order_total": { "v": 9.5 },
            "my-name": { "v": "hyphen" },
            "größe": { "v": 7 },
            "variable": { "v": "not the function" },
            "order": { "v": { "lines": [ { "sku": "a", "qty": 2 } ] } },
            "__proto__": { "v": "odd" }
          },
          "input": { "message": { "v": "hello" } },
          "outputs": { "HttpEndpoint1": { "Result": { "v": { "id": 5 } }, "StatusCode": { "v": 200 } } },
          "args": { "Item": { "v": { "sku": "z" } } },
          "lastResult": { "v": "last" }
        }
        """;

    [Theory]
    [InlineData("getWorkflowDefinitionId()", "\"d1\"")]
    [InlineData("getWorkflowDefinitionVersionId()", "\"dv1\"")]
    [InlineData("getWorkflowDefinitionVersion()", "3")]
    [InlineData("getWorkflowInstanceId()", "\"i1\"")]
    [InlineData("getCorrelationId()", "\"c1\"")]
    [InlineData("setCorrelationId('c2'); getCorrelationId()", "\"c2\"")]
    [InlineData("getWorkflowInstanceName()", "\"n1\"")]
    [InlineData("setWorkflowInstanceName('n2'); getWorkflowInstanceName()", "\"n2\"")]
    [InlineData("getVariable('counter')", "41")]
    [InlineData("getCounter() + 1", "42")]
    [InlineData("getOrderTotal()", "9.5")]
    [InlineData("getGröße()", "7")]
    [InlineData("getVariable('my-name')", "\"hyphen\"")]
    [InlineData("typeof globalThis['getMy-name']", "\"undefined\"")]
    [InlineData("getVariable('variable')", "\"not the function\"")]
    [InlineData("getVariable('__proto__')", "\"odd\"")]
    [InlineData("getVariable('toString')", "null")]
    [InlineData("setCounter(1); getCounter()", "1")]
    [InlineData("setVariable('fresh', [1]); getVariable('fresh')", "[1]")]
    [InlineData("variables.counter", "41")]
    [InlineData("variables['my-name']", "\"hyphen\"")]
    [InlineData("variables.nothing", "null")]
    [InlineData("'counter' in variables && !('nothing' in variables)", "true")]
    [InlineData("variables.fresh = 1; Object.keys(variables).slice(-1)", "[\"fresh\"]")]
    [InlineData("variables.counter++; getCounter()", "42")]
    [InlineData("const { counter } = variables; counter", "41")]
    [InlineData("getInput('message')", "\"hello\"")]
    [InlineData("getMessage()", "\"hello\"")]
    [InlineData("getInput('nothing')", "null")]
    [InlineData("`${getVariable('nothing')}`", "\"null\"")]
    [InlineData("typeof getNothing", "\"undefined\"")]
    [InlineData("getOutputFrom('HttpEndpoint1').id", "5")]
    [InlineData("getOutputFrom('HttpEndpoint1', 'StatusCode')", "200")]
    [InlineData("getOutputFrom('Nowhere', 'StatusCode')", "null")]
    [InlineData("getStatusCodeFromHttpEndpoint1()", "200")]
    [InlineData("getResultFromHttpEndpoint1().id", "5")]
    [InlineData("getLastResult()", "\"last\"")]
    [InlineData("args.item.sku", "\"z\"")]
    [InlineData("getItem().sku", "\"z\"")]
    [InlineData("typeof setOutcome + typeof getConfig", "\"undefinedundefined\"")]
    public async Task Accessor_Called_GivesWhatTheScopeHolds(string script, string expected) =>
        Assert.Equal(expected, await scripts.Pool.ValueAsync(script, Scope));

    [Fact]
    public async Task Accessors_EmptyScope_GiveNull() => Assert.Equal(
        "[null,null,null,null,null,null]",
        await scripts.Pool.ValueAsync(
            "[getWorkflowInstanceId(), getCorrelationId(), getVariable('a'), getInput('a'), getLastResult(), variables.a]"));

    [Theory]
    [InlineData("variables.order.lines[0].qty = 5", "order", "{\"lines\":[{\"sku\":\"a\",\"qty\":5}]}")]
    [InlineData("getOrder().lines.push(1)", "order", "{\"lines\":[{\"sku\":\"a\",\"qty\":2},1]}")]
    [InlineData("getVariable('order').lines.length = 0", "order", "{\"lines\":[]}")]
    [InlineData("variables.counter = 1", "counter", "1")]
    [InlineData("variables.counter += 1", "counter", "42")]
    [InlineData("delete variables.counter", "counter", "null")]
    [InlineData("setCounter(undefined)", "counter", "null")]
    [InlineData("setVariable('fresh', { a: 1 })", "fresh", "{\"a\":1}")]
    [InlineData("variables.fresh = [1]; variables.fresh.push(2)", "fresh", "[1,2]")]
    [InlineData("Object.assign(variables, { counter: 3 })", "counter", "3")]
    [InlineData("setVariable('__proto__', 1)", "__proto__", "1")]
    [InlineData("variables.order.lines[0].self = 1; getOrder().lines[0].qty = 9", "order",
        "{\"lines\":[{\"sku\":\"a\",\"qty\":9,\"self\":1}]}")]
    public async Task Variables_Changed_AreWrittenBack(string script, string name, string expected)
    {
        var result = await scripts.Pool.EvaluateAsync(script, Scope);

        var (changedName, value) = Assert.Single(result.Variables!);
        Assert.Equal(name, changedName);
        Assert.Equal(expected, value.Text());
    }

    [Theory]
    [InlineData("variables.order.lines[0].qty + getCounter()")]
    [InlineData("JSON.stringify(variables)")]
    [InlineData("const copy = structure(getOrder()); copy.lines = []; function structure(x) { return { ...x } }")]
    public async Task Variables_OnlyRead_AreNotWrittenBack(string script) =>
        Assert.Null((await scripts.Pool.EvaluateAsync(script, Scope)).Variables);

    [Fact]
    public async Task Variables_MadeCircular_ErrorNamesTheVariable()
    {
        var error = await scripts.Pool.FailsAsync("variables.order.self = variables.order; 1", Scope);

        Assert.Contains("'order'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Instance_IdsSet_AreReported()
    {
        var result = await scripts.Pool.EvaluateAsync("setCorrelationId(null); setWorkflowInstanceName(12)", Scope);

        Assert.True(result.CorrelationIdSet);
        Assert.Null(result.CorrelationId);
        Assert.True(result.InstanceNameSet);
        Assert.Equal("12", result.InstanceName);
        Assert.False((await scripts.Pool.EvaluateAsync("1", Scope)).CorrelationIdSet);
    }

    [Theory]
    [InlineData("setOutcome('Big')", new[] { "Big" })]
    [InlineData("setOutcomes(['A', 'B'])", new[] { "A", "B" })]
    [InlineData("setOutcome('A'); setOutcome('B')", new[] { "B" })]
    public async Task Outcomes_Allowed_AreReported(string script, string[] expected) =>
        Assert.Equal(expected, (await scripts.Pool.EvaluateAsync(script, outcomes: true)).Outcomes);

    [Fact]
    public async Task Host_UnknownNames_AreAskedForOnce()
    {
        var host = new TestHost(call => new ScriptValue(
            System.Text.Encoding.UTF8.GetBytes(call.StartsWith("variable", StringComparison.Ordinal) ? "{\"n\":1}" : "7")));

        var result = await scripts.Pool.EvaluateAsync(
            """
            const name = 'dyn' + 'amic'
            getVariable(name).n++
            getVariable(name).n++
            ;[getInput('in'), getInput('in'), getOutputFrom('A', 'B'), getOutputFrom('A', 'B'), variables.dynamic.n]
            """, Scope, host);

        Assert.Equal("[7,7,7,7,3]", result.Value.Text());
        Assert.Equal("{\"n\":3}", result.Variables!["dynamic"].Text());
        Assert.Equal(
            ["variable {\"name\":\"dynamic\"}", "input {\"name\":\"in\"}", "output {\"activity\":\"A\",\"name\":\"B\"}"],
            host.Calls);
    }

    [Fact]
    public async Task Host_SecretsConfigurationAndUrls_AreAnswered()
    {
        var host = new TestHost(call => ScriptValue.FromString(call.Split(' ')[0] + "!"));

        var value = await scripts.Pool.ValueAsync(
            """
            const secret = getSecret('key')
            const urls = [createEventTriggerUrl('Go'), createEventTriggerUrl('Go', TimeSpan.FromHours(1)),
              createEventTriggerUrl('Go', '00:05:00'), createEventTriggerUrl('Go', new Date(0))]
            return [secret instanceof Promise, await secret, getConfig('A:B'), getConfig('given'), urls.length]
            """, """{ "config": { "given": { "v": 1 } } }""", host);

        Assert.Equal("[true,\"secret!\",\"config!\",1,4]", value);
        Assert.Equal(
            [
                "secret {\"name\":\"key\"}",
                "eventTriggerUrl {\"eventName\":\"Go\"}",
                "eventTriggerUrl {\"eventName\":\"Go\",\"lifetime\":\"01:00:00\"}",
                "eventTriggerUrl {\"eventName\":\"Go\",\"lifetime\":\"00:05:00\"}",
                "eventTriggerUrl {\"eventName\":\"Go\",\"expiresAt\":\"1970-01-01T00:00:00.000Z\"}",
                "config {\"name\":\"A:B\"}",
            ],
            host.Calls);
    }

    [Fact]
    public async Task Host_Throws_ScriptCanCatchIt()
    {
        var host = new TestHost(_ => throw new InvalidOperationException("no such \"secret\""));

        Assert.Equal("\"no such \\\"secret\\\"\"",
            await scripts.Pool.ValueAsync("getSecret('x').catch(e => e.message)", host: host));
    }

    [Fact]
    public async Task Host_Missing_CallsSayThatTheyAreNotAvailable()
    {
        var error = await scripts.Pool.FailsAsync("await getSecret('x')");

        Assert.Contains("not available", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Host_AskedTooOften_ScriptFails()
    {
        var host = new TestHost(_ => ScriptValue.Null);

        var value = await scripts.Pool.ValueAsync(
            "try { for (let i = 0; ; i++) getVariable('v' + i) } catch (e) { e.message }", host: host);

        Assert.Contains("1000 times at most", value, StringComparison.Ordinal);
        Assert.Equal(1_000, host.Calls.Count);
    }
}
