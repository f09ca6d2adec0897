using System.Security.Claims;
using Conclave.Server;
using Conclave.Server.Accounts;
using Conclave.Server.Accounts.Pages;
using Conclave.Server.Api;
using Conclave.Server.Designer;
using Conclave.Server.ElsaApi;
using Conclave.Server.Health;
using Conclave.Server.Hosting;
using Conclave.Server.Inference;
using Conclave.Server.Web;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Conclave.Tests.Accounts;

public sealed class PermissionTests
{
    [Theory]
    [InlineData("read:queue", "read:queue", true)]
    [InlineData("*", "read:queue", true)]
    [InlineData("*", "tasks:complete", true)]
    [InlineData("read:*", "read:queue", true)]
    [InlineData("read:*", "write:queue", false)]
    [InlineData("read:*", "tasks:complete", false)]
    [InlineData("read", "read:queue", false)]
    [InlineData("read:", "read:queue", false)]
    [InlineData("re*", "read:queue", false)]
    [InlineData("read:q*", "read:queue", false)]
    [InlineData(":*", "read:queue", false)]
    [InlineData("READ:queue", "read:queue", false)]
    [InlineData("read:queue", "read:*", false)]
    [InlineData("read:queue", "*", false)]
    [InlineData("", "read:queue", false)]
    public void Has_OneClaim_CoversWhatItSays(string held, string permission, bool has)
    {
        Assert.Equal(has, new ClaimsPrincipal(new ClaimsIdentity([new Claim(Permissions.ClaimType, held)], "test")).Has(permission));
        Assert.False(new ClaimsPrincipal(new ClaimsIdentity([new Claim("other", held)], "test")).Has(permission));
    }

    [Theory]
    [InlineData("read:queue", "*", "read:queue")]
    [InlineData("*", "read:*", "read:*")]
    [InlineData("read:*,write:queue", "read:queue,write:queue,exec:tests", "read:queue,write:queue")]
    [InlineData("read:queue", "write:queue", "")]
    [InlineData("*", "*", "*")]
    [InlineData("", "*", "")]
    public void Common_ScopesAndRights_IsWhatBothAllow(string scopes, string rights, string common)
    {
        Assert.Equal(Split(common).Order(), Permissions.Common(Split(scopes), Split(rights)).Order());
        Assert.Equal(Split(common).Order(), Permissions.Common(Split(rights), Split(scopes)).Order());
    }

    [Fact]
    public void Expand_ReadAll_NamesEveryRightToRead()
    {
        var expanded = Permissions.Expand(["read:*", "write:queue"]);

        Assert.All(Permissions.Known.Where(p => p.Name.StartsWith("read:", StringComparison.Ordinal)), p => Assert.Contains(p.Name, expanded));
        Assert.DoesNotContain("exec:tests", expanded);
        Assert.Contains("write:queue", expanded);
        Assert.Equal(["*"], Permissions.Expand(["read:queue", "*"]));
        Assert.All(Roles.Known.SelectMany(r => r.Permissions), p => Assert.True(Permissions.IsKnown(p), p));
        Assert.False(Permissions.IsKnown("read:nonsense"));
    }

    /// <summary>Whoever adds an endpoint says who may call it.</summary>
    [Fact]
    public async Task Endpoints_AllSayWhoMayCallThem()
    {
        var folder = Directory.CreateTempSubdirectory("conclave-endpoints-").FullName;
        try
        {
            var options = new ServerOptions { DataFolder = folder };
            var builder = WebApplication.CreateSlimBuilder();
            builder.Services.AddSingleton(options);
            builder.Services.AddConclaveHealth(options);
            builder.Services.AddSingleton<ServerRuntime>();
            builder.Services.AddAccounts(options);
            builder.Services.AddConclaveApi();
            builder.Services.AddElsaApi();
            builder.Services.AddInference();
            builder.Services.AddWebApp();
            await using var app = builder.Build();
            app.MapAccountPages();
            app.MapConclaveApi();
            app.MapElsaApi();
            app.MapDesigner();
            app.MapWebApp();
            var endpoints = ((IEndpointRouteBuilder)app).DataSources.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>().ToList();

            Assert.True(endpoints.Count > 40);
            string[] open = ["/app.css", "/setup", "/sign-in", "/account/link", "/app/assets/{version}/{**path}", "/app/open", "/elsa/api/identity/login", "/elsa/api/identity/refresh-token", "/elsa/api/events/trigger", "/elsa/api/bookmarks/resume"];
            // Those that decide by what is sent, and what is for everybody who is signed in.
            string[] other = ["/", "/app", "/app/inbox", "/app/inbox/{Id}", "/app/agents", "/app/agents/{Id}", "/app/agents/new", "/app/agents/{Id}/configure", "/app/tools", "/app/tools/{Name}", "/_framework/opaque-redirect", "/_blazor", "/_blazor/negotiate", "/_blazor/disconnect", "/_blazor/initializers", "/api/instances/bulk", "/api/{**path}", "/elsa/api/{**path}", "/sign-out", "/account", "/account/password", "/account/keys", "/account/keys/{id}/revoke"];
            foreach (var endpoint in endpoints)
            {
                var path = "/" + endpoint.RoutePattern.RawText!.Trim('/');
                var isOpen = endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null || endpoint.Metadata.GetMetadata<IAuthorizeData>() is null;
                Assert.True(isOpen == open.Contains(path), $"{path} is {(isOpen ? "open" : "closed")}");
                if (!isOpen && !other.Contains(path))
                    Assert.All(endpoint.Metadata.GetMetadata<NeededPermission>()?.AnyOf ?? ["none"], p => Assert.True(Permissions.Known.Any(k => k.Name == p), $"{path} needs '{p}'"));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string[] Split(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries);
}
