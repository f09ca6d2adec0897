using System.Text.Json;
using System.Text.RegularExpressions;
using Conclave.Server;
using Conclave.Server.Accounts;
using Conclave.Server.OpenApi;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Conclave.Tests.Server.OpenApi;

/// <summary>The OpenAPI document of the server as it is mapped, without a database.</summary>
public sealed partial class OpenApiDocumentTests : IAsyncLifetime
{
    private WebApplication _app = null!;
    private JsonElement _document;

    /// <summary>Pages for people, and paths that belong to workflows or to the hub.</summary>
    private static readonly string[] NotOfTheApi = ["", "account", "designer", "setup", "sign-in", "sign-out", "app", "_blazor", "_framework", "mcp", "workflows", "elsa/hubs", "elsa/api/hubs"];

    public async Task InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        var options = builder.AddServerOptions(new Dictionary<string, string?> { ["DataFolder"] = Path.GetTempPath() });
        _app = ServerApplication.Build(builder, options);
        // What starting would do to the endpoints.
        _app.UseEndpoints(_ => { });
        _document = JsonElement.Parse(await OpenApiEndpoints.WriteAsync(_app.Services, default));
    }

    public async Task DisposeAsync() => await _app.DisposeAsync();

    [Fact]
    public void Document_HasEveryMappedEndpointAndNoOther()
    {
        var mapped = MappedOperations().Select(o => o.Key).ToHashSet();
        var described = Operations().Select(o => o.Key).ToHashSet();

        Assert.True(mapped.Count > 130, $"Only {mapped.Count} endpoints were found.");
        Assert.Empty(mapped.Except(described));
        Assert.Empty(described.Except(mapped));
    }

    [Fact]
    public void Document_EachOperation_SaysWhatItIs()
    {
        Assert.StartsWith("3.1", _document.GetProperty("openapi").GetString(), StringComparison.Ordinal);
        Assert.Equal(Operations().Count(), Operations().Select(o => o.Value.GetProperty("operationId").GetString()).Distinct().Count());
        Assert.All(Operations(), o =>
        {
            Assert.NotEqual("", o.Value.GetProperty("summary").GetString());
            Assert.Single(o.Value.GetProperty("tags").EnumerateArray());
            var path = Template().Matches(o.Key).Select(m => m.Groups[1].Value).Order();
            var parameters = o.Value.TryGetProperty("parameters", out var all) ? all.EnumerateArray().ToList() : [];
            Assert.Equal(path, parameters.Where(p => p.GetProperty("in").GetString() == "path").Select(p => p.GetProperty("name").GetString()).Order());
            Assert.Equal(parameters.Count, parameters.Select(p => (p.GetProperty("in").GetString(), p.GetProperty("name").GetString())).Distinct().Count());
            Assert.All(parameters, p => Assert.True(p.TryGetProperty("schema", out _) && (p.GetProperty("in").GetString() == "path" || p.TryGetProperty("description", out _)), $"{o.Key} {p}"));
            Assert.Contains(o.Value.GetProperty("responses").EnumerateObject(), r => r.Name[0] is '2');
            Assert.All(o.Value.GetProperty("responses").EnumerateObject(), r => Assert.True(r.Value.TryGetProperty("description", out _)));
        });
    }

    [Fact]
    public void Document_References_LeadSomewhere()
    {
        var text = _document.GetRawText();
        var schemas = _document.GetProperty("components").GetProperty("schemas").EnumerateObject().Select(s => s.Name).ToHashSet();
        var used = Reference().Matches(text).Select(m => m.Groups[1].Value).ToHashSet();
        Assert.Empty(used.Except(schemas));
        Assert.Empty(schemas.Except(used));
        Assert.DoesNotContain("Shape", string.Join(' ', schemas), StringComparison.Ordinal);
    }

    [Fact]
    public void Document_Rights_AreThoseThatTheEndpointsDemand()
    {
        var described = Operations().ToDictionary(o => o.Key, o => o.Value);
        var schemes = _document.GetProperty("components").GetProperty("securitySchemes").EnumerateObject().Select(s => s.Name).Order().ToList();
        Assert.Equal(["apiKey", "bearer", "cookie"], schemes);
        foreach (var (key, endpoint) in MappedOperations())
        {
            var security = described[key].TryGetProperty("security", out var given) ? given.EnumerateArray().ToList() : [];
            if (!DescribedEndpoints.IsForAccounts(endpoint))
            {
                Assert.Empty(security);
                continue;
            }

            var rights = endpoint.Metadata.GetMetadata<NeededPermission>()?.AnyOf ?? [];
            Assert.Equal(schemes.Count * Math.Max(1, rights.Count), security.Count);
            Assert.Equal(rights.Order(), security.SelectMany(s => s.EnumerateObject()).SelectMany(s => s.Value.EnumerateArray()).Select(r => r.GetString()).Distinct().Order());
            Assert.All((string[])["401", "403"], s => Assert.True(described[key].GetProperty("responses").TryGetProperty(s, out _), $"{key} {s}"));
        }
    }

    [Fact]
    public void Document_Elsas_LeavesOutWhatOurOwnSaysIsNull()
    {
        var schemas = _document.GetProperty("components").GetProperty("schemas");
        var elsas = schemas.GetProperty("ElsaInstanceSummary");
        Assert.Equal("string", elsas.GetProperty("properties").GetProperty("name").GetProperty("type").GetString());
        Assert.DoesNotContain(elsas.GetProperty("required").EnumerateArray(), r => r.GetString() == "name");
        var own = schemas.GetProperty("InstanceSummary");
        Assert.Contains(own.GetProperty("properties").GetProperty("name").GetProperty("type").EnumerateArray(), t => t.GetString() == "null");
        Assert.Contains(own.GetProperty("required").EnumerateArray(), r => r.GetString() == "name");
        Assert.Equal("#/components/schemas/ElsaException", schemas.GetProperty("ElsaException").GetProperty("properties").GetProperty("innerException").GetProperty("$ref").GetString());
    }

    private IEnumerable<KeyValuePair<string, JsonElement>> Operations() => _document.GetProperty("paths").EnumerateObject()
        .SelectMany(path => path.Value.EnumerateObject().Select(operation => KeyValuePair.Create($"{operation.Name.ToUpperInvariant()} {path.Name}", operation.Value)));

    private IEnumerable<KeyValuePair<string, RouteEndpoint>> MappedOperations() => _app.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
        .Where(e => !e.RoutePattern.RawText!.Contains("{**", StringComparison.Ordinal) && !e.RoutePattern.RawText.EndsWith(".css", StringComparison.Ordinal))
        // Those are described by whose they are.
        .Where(e => e.Metadata.GetMetadata<Conclave.Server.Inference.ModelApi>() is null)
        .Where(e => !NotOfTheApi.Any(n => e.RoutePattern.RawText!.Trim('/') == n || (n != "" && e.RoutePattern.RawText!.Trim('/').StartsWith($"{n}/", StringComparison.Ordinal))))
        .SelectMany(e => (e.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["ANY"]).Select(m => KeyValuePair.Create($"{m} /{Constraint().Replace(e.RoutePattern.RawText!.Trim('/'), "}")}", e)));

    [GeneratedRegex(@"\{([^}]+)\}")]
    private static partial Regex Template();

    [GeneratedRegex(@":[^}]+\}")]
    private static partial Regex Constraint();

    [GeneratedRegex("\"#/components/schemas/([^\"]+)\"")]
    private static partial Regex Reference();
}
