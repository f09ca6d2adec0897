using System.Text.Json.Nodes;

namespace Conclave.EndToEnd.Accounts;

/// <summary>What Elsa's API shows and allows to whom.</summary>
[Collection(AccountServer.Name)]
public sealed class ElsaRightTests(AccountServer shared)
{
    private const string Path = "/elsa/api/workflow-definitions";

    private readonly ServerProcess _server = shared.Server;

    /// <summary>Studio takes the links for rights: without them it shows and does not edit.</summary>
    [Theory]
    [InlineData("root", "self versions bulk-dispatch dispatch execute export publish retract delete import update-references",
        "self is-name-unique count many-by-id bulk-delete-by-definition-id bulk-delete-by-id bulk-publish bulk-retract import import-files create")]
    [InlineData("author", "self versions bulk-dispatch dispatch execute export publish retract delete import update-references",
        "self is-name-unique count many-by-id bulk-delete-by-definition-id bulk-delete-by-id bulk-publish bulk-retract import import-files create")]
    [InlineData("operator", "self versions bulk-dispatch dispatch execute export", "self is-name-unique count many-by-id")]
    [InlineData("viewer", "self versions export", "self is-name-unique count many-by-id")]
    public async Task Links_AreThoseOfWhatTheCallerMayDo(string role, string ofDefinition, string ofList)
    {
        var id = SharedServer.NewId();
        (await _server.CallAsync($"PUT /api/workflows/{id}", Flows.Short())).Is(200);
        var access = $"Authorization: Bearer {(await shared.LogInAsync(role)).Access}";

        var one = (await _server.CallAsync($"GET {Path}/{id}", (HttpContent?)null, access)).Is(200);
        var list = (await _server.CallAsync($"GET {Path}?DefinitionIds={id}", (HttpContent?)null, access)).Is(200);

        Assert.Equal(ofDefinition, Rels(one["links"]));
        Assert.Equal(ofDefinition, Rels(list["items"][0].GetProperty("links")));
        Assert.Equal(ofList, Rels(list["links"]));
        Assert.Equal(ofList.Contains("create", StringComparison.Ordinal) ? 200 : 403, (await _server.CallAsync($"POST {Path}", new JsonObject { ["model"] = Flows.Short() }, access)).Status);

        static string Rels(System.Text.Json.JsonElement links) => string.Join(' ', links.EnumerateArray().Select(l => l.Text("rel")).Distinct());
    }

    /// <summary>Every endpoint of the OpenAPI document refuses those who lack the right that it names: with a problem, or in Elsa's way without a body.</summary>
    [Fact]
    public async Task Key_WithoutTheRight_OpensNothingOfTheDocument()
    {
        using var admin = await shared.SignedInAsync("root");
        var key = $"Authorization: ApiKey {await admin.MakeKeyAsync("30", "read:metrics")}";
        var document = (await _server.CallAsync("GET /openapi/v1.json", (HttpContent?)null, key)).Is(200).Json;
        var tried = 0;
        // Metrics are open to the same machine.
        foreach (var path in document.GetProperty("paths").EnumerateObject().Where(p => p.Name != "/metrics"))
        {
            foreach (var operation in path.Value.EnumerateObject())
            {
                if (!operation.Value.TryGetProperty("security", out var ways) || !ways.EnumerateArray().Any(w => w.EnumerateObject().Any(s => s.Value.GetArrayLength() > 0)))
                    continue;
                var call = $"{operation.Name.ToUpperInvariant()} {System.Text.RegularExpressions.Regex.Replace(path.Name, "\\{[^}]*\\}", "1")}";
                var refused = await _server.CallAsync(call, operation.Name == "get" ? null : "{}", key);
                Assert.True(refused.Status == 403, $"{call}: {refused.Status} {refused.Text}");
                if (path.Name.StartsWith("/elsa", StringComparison.Ordinal))
                    Assert.Empty(refused.Text);
                else
                    refused.IsProblem(403, "request.forbidden");
                tried++;
            }
        }

        Assert.True(tried > 120, $"Only {tried} endpoints were tried.");
    }

    [Fact]
    public async Task Document_IsForThoseWithAnAccount_AndKeptByWhoReadIt()
    {
        using var nobody = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = _server.Http.BaseAddress };
        Assert.NotEqual(200, (int)(await nobody.GetAsync("/openapi/v1.json")).StatusCode);

        var plain = (await _server.CallAsync("GET /openapi/v1.json")).Is(200);
        Assert.Equal("application/json", plain.Message.Content.Headers.ContentType?.MediaType);
        (await _server.CallAsync("GET /openapi/v1.json", (HttpContent?)null, $"If-None-Match: {plain.Header("ETag")}")).Is(304);
        var small = (await _server.CallAsync("GET /openapi/v1.json", (HttpContent?)null, "Accept-Encoding: br")).Is(200);
        Assert.Equal("br", small.Header("Content-Encoding"));
        Assert.NotEqual(plain.Header("ETag"), small.Header("ETag"));
        await using var brotli = new System.IO.Compression.BrotliStream(new MemoryStream(small.Bytes), System.IO.Compression.CompressionMode.Decompress);
        using var unpacked = new MemoryStream();
        await brotli.CopyToAsync(unpacked);
        Assert.Equal(plain.Bytes, unpacked.ToArray());
    }
}
