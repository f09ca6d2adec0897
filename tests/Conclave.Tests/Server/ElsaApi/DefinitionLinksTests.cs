using System.Security.Claims;
using System.Text.Json;
using Conclave.Server.Accounts;
using Conclave.Server.ElsaApi.Definitions;

namespace Conclave.Tests.Server.ElsaApi;

/// <summary>Studio shows what the links allow, and no more.</summary>
public sealed class DefinitionLinksTests
{
    private static readonly string[] Always = ["self", "self", "versions", "export"];

    [Theory]
    [InlineData("", "")]
    [InlineData("exec:workflow-definitions", "bulk-dispatch dispatch execute")]
    [InlineData("write:workflow-definitions", "import")]
    [InlineData("publish:workflow-definitions", "update-references")]
    [InlineData("publish:workflow-definitions write:workflow-definitions", "publish import update-references")]
    [InlineData("retract:workflow-definitions delete:workflow-definitions", "retract delete")]
    [InlineData("*", "bulk-dispatch dispatch execute publish retract delete import update-references")]
    public void Definition_HasALinkForEachRight(string rights, string expected)
    {
        Assert.Equal(Words(expected).Concat(Always).Order(), Links(w => DefinitionLinks.WriteTo(w, User(rights), "d", "v", false)).Order());
        Assert.Equal(
            Words(expected).Where(l => l is "bulk-dispatch" or "dispatch" or "execute").Concat(Always).Order(),
            Links(w => DefinitionLinks.WriteTo(w, User(rights), "d", "v", isReadonly: true)).Order());
    }

    [Theory]
    [InlineData("read:workflow-definitions", "")]
    [InlineData("publish:workflow-definitions write:workflow-definitions", "bulk-publish import import-files create")]
    [InlineData("write:workflow-definitions", "import import-files create")]
    [InlineData("publish:workflow-definitions", "")]
    [InlineData("*", "bulk-delete-by-definition-id bulk-delete-by-id bulk-publish bulk-retract import import-files create")]
    public void List_HasALinkForEachRight(string rights, string expected) => Assert.Equal(
        ["self", "is-name-unique", "count", "many-by-id", .. Words(expected)],
        Links(w => DefinitionLinks.WriteListTo(w, User(rights))));

    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static ClaimsPrincipal User(string rights) => new(new ClaimsIdentity(Words(rights).Select(r => new Claim(Permissions.ClaimType, r)), "test"));

    private static string[] Links(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        return [.. JsonElement.Parse(buffer.ToArray()).GetProperty("links").EnumerateArray().Select(l => l.GetProperty("rel").GetString()!)];
    }
}
