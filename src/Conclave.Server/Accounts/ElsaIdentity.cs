using System.Text.Json;
using Conclave.Server.Accounts.Keys;
using Conclave.Server.Accounts.Sessions;
using Conclave.Server.Api;
using Conclave.Server.ElsaApi;
using Conclave.Server.OpenApi;
using Microsoft.AspNetCore.Identity;

namespace Conclave.Server.Accounts;

/// <summary>Signing in the way that clients of Elsa's server do, and making accounts and keys with its API.</summary>
internal static class ElsaIdentity
{
    public static void Map(RouteGroupBuilder api)
    {
        var group = api.MapGroup("/identity");
        group.MapPost("/login", LoginAsync).AllowAnonymous().LimitAttempts()
            .Describe("ElsaLogin", "Get tokens for a name and a password", o => o.Takes<LoginRequest>().Answers<LoginShape>().Refuses(429));
        group.MapPost("/refresh-token", RefreshAsync).AllowAnonymous().LimitAttempts()
            .Describe("ElsaRefreshToken", "Get new tokens; the refresh token is sent as the bearer", o => o.Answers<LoginShape>().Refuses(429));
        group.MapGet("/roles", (HttpContext context) => context.WriteJsonAsync(WriteRoles)).RequirePermission(Permissions.ManageAccounts)
            .Describe("ElsaListRoles", "List the roles", o => o.Answers<ListShape<RoleShape>>());
        group.MapPost("/users", CreateUserAsync).RequirePermission(Permissions.ManageAccounts)
            .Describe("ElsaCreateUser", "Make an account", o => o.Takes<UserRequest>().Answers<UserShape>());
        group.MapPost("/applications", CreateApplicationAsync).RequirePermission(Permissions.ManageAccounts)
            .Describe("ElsaCreateApplication", "Make a key with the rights of roles", o => o.Takes<ApplicationRequest>().Answers<ApplicationShape>());
    }

    private static async Task LoginAsync(HttpContext context, PasswordSignIn passwords, AccessTokens access, RefreshTokens refresh)
    {
        var body = await context.ReadObjectAsync();
        var (name, password) = (Text(body, "username"), Text(body, "password"));
        var missing = new Dictionary<string, string[]>();
        if (string.IsNullOrWhiteSpace(name))
            missing["username"] = ["Give a user name."];
        if (string.IsNullOrEmpty(password))
            missing["password"] = ["Give a password."];
        if (missing.Count > 0)
        {
            await ElsaProblems.WriteAsync(context, missing);
            return;
        }

        var account = await passwords.CheckAsync(name, password, context.RequestAborted);
        await WriteTokensAsync(context, account, null, access, refresh);
    }

    private static async Task RefreshAsync(HttpContext context, AccessTokens access, RefreshTokens refresh)
    {
        var used = Credentials.Of(context.Request.Headers.Authorization.ToString()) is { Length: > 0 } token
            ? await refresh.UseAsync(token, context.RequestAborted)
            : null;
        await WriteTokensAsync(context, used?.Account, used?.Family, access, refresh);
    }

    private static async Task WriteTokensAsync(HttpContext context, Account? account, Guid? family, AccessTokens access, RefreshTokens refresh)
    {
        var accessToken = account is null ? null : await access.CreateAsync(account, context.RequestAborted);
        var refreshToken = account is null ? null : await refresh.CreateAsync(account, family, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteBoolean("isAuthenticated", account is not null);
            if (account is not null)
            {
                writer.WriteString("accessToken", accessToken);
                writer.WriteString("refreshToken", refreshToken);
            }

            writer.WriteEndObject();
        });
    }

    private static void WriteRoles(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("items");
        foreach (var role in Roles.Known)
        {
            writer.WriteStartObject();
            writer.WriteString("id", role.Name);
            writer.WriteString("name", role.Name);
            WriteTexts(writer, "permissions", Permissions.Expand([.. role.Permissions]));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteNumber("count", Roles.Known.Count);
        writer.WriteEndObject();
    }

    /// <summary>Makes an account; without a password it gets one, which the answer tells once.</summary>
    private static async Task CreateUserAsync(HttpContext context, AccountAdministration administration)
    {
        var body = await context.ReadObjectAsync();
        var password = Text(body, "password") is { Length: > 0 } given ? given : SecretText.New("");
        var (account, problems) = await administration.CreateAsync(
            Text(body, "name") ?? "", Text(body, "email"), Texts(body, "roles"), password, context.Actor());
        if (account is null)
        {
            await ElsaProblems.WriteAsync(context, [.. problems]);
            return;
        }

        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("id", account.Id);
            writer.WriteString("name", account.UserName);
            WriteTexts(writer, "roles", account.Roles);
            writer.WriteString("tenantId", account.Tenant);
            writer.WriteString("password", password);
            writer.WriteEndObject();
        });
    }

    /// <summary>Makes a key with the rights of roles, which belongs to the caller, or to the account that is named.</summary>
    private static async Task CreateApplicationAsync(HttpContext context, UserManager<Account> users, ApiKeys keys)
    {
        var body = await context.ReadObjectAsync();
        var (name, roles) = ((Text(body, "name") ?? "").Trim(), Texts(body, "roles"));
        if (roles.FirstOrDefault(r => Roles.Find(r) is null) is { } unknown)
            throw ApiException.Bad($"There is no role '{unknown}'. The roles are {string.Join(", ", Roles.Known.Select(r => r.Name))}.");
        var owner = Text(body, "userName") is { Length: > 0 } userName
            ? await users.FindByNameAsync(JsonText.CheckName("userName", userName)!) ?? throw ApiException.Bad($"There is no account '{userName}'.")
            : await users.GetUserAsync(context.User) ?? throw ApiException.Bad("The machine's key has no account that could own another key. Name one in 'userName', or sign in.");
        var scopes = Roles.PermissionsOf(roles);
        // A caller's key may have fewer rights than its account.
        var held = context.User.FindAll(Permissions.ClaimType).Select(c => c.Value).ToList();
        var problems = ApiKeys.FindProblems(Permissions.Common(held, [.. owner.Permissions]), name, scopes);
        if (problems.Count > 0)
        {
            await ElsaProblems.WriteAsync(context, [.. problems]);
            return;
        }

        var (key, secret) = await keys.CreateAsync(owner, name, scopes, null, context.RequestAborted);
        await context.WriteJsonAsync(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("id", key.Id);
            writer.WriteString("name", key.Name);
            WriteTexts(writer, "roles", roles);
            writer.WriteString("clientId", key.Id);
            writer.WriteString("apiKey", secret);
            writer.WriteEndObject();
        });
    }

    private static void WriteTexts(Utf8JsonWriter writer, string name, IEnumerable<string> texts)
    {
        writer.WriteStartArray(name);
        foreach (var text in texts)
            writer.WriteStringValue(text);
        writer.WriteEndArray();
    }

    private static JsonElement? Member(JsonElement body, string name) =>
        body.EnumerateObject().Where(m => m.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(m => (JsonElement?)m.Value).LastOrDefault()
            is { ValueKind: not JsonValueKind.Null } value ? value : null;

    private static string? Text(JsonElement body, string name) => Member(body, name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        _ => throw ApiException.Bad($"'{name}' must be a text."),
    };

    private static IReadOnlyList<string> Texts(JsonElement body, string name) => Member(body, name) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } list when list.EnumerateArray().All(t => t.ValueKind == JsonValueKind.String) => [.. list.EnumerateArray().Select(t => t.GetString()!).Distinct()],
        _ => throw ApiException.Bad($"'{name}' must be a list of texts."),
    };
}
