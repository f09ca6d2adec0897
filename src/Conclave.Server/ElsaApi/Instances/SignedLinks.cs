using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Conclave.Workflows.Execution;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Conclave.Server.ElsaApi.Instances;

/// <summary>Makes and reads links by which somebody without an account triggers an event or resumes a bookmark. Whoever has one may use it until it expires.</summary>
internal sealed class SignedLinks(IDataProtectionProvider protection, ServerOptions options, IServer server)
{
    private readonly ITimeLimitedDataProtector _events = protection.CreateProtector("Conclave.Elsa.Event.v1").ToTimeLimitedDataProtector();
    private readonly IDataProtector _approvals = protection.CreateProtector("Conclave.Approval.v1");
    private readonly ITimeLimitedDataProtector _bookmarks = protection.CreateProtector("Conclave.Elsa.Bookmark.v1").ToTimeLimitedDataProtector();

    /// <summary>The address of a link that triggers an event.</summary>
    /// <param name="tenant">Whose event.</param>
    /// <param name="eventName">Name of the event.</param>
    /// <param name="limit">A time span or a time after which it no longer works, as text; nothing for never.</param>
    /// <exception cref="WorkflowException">The limit is neither, or nobody said what this server's address is.</exception>
    public string EventUrl(string tenant, string eventName, JsonElement limit) => Url("events/trigger", EventToken(tenant, eventName, limit));

    /// <summary>The proof that its owner may trigger an event.</summary>
    public string EventToken(string tenant, string eventName, JsonElement limit) => Protect(_events, limit, tenant, eventName);

    /// <summary>The proof that its owner may resume a bookmark.</summary>
    public string BookmarkToken(string tenant, string instanceId, int bookmark, JsonElement limit) =>
        Protect(_bookmarks, limit, tenant, instanceId, bookmark.ToString(CultureInfo.InvariantCulture));

    /// <summary>The address at which people who sign in find an approval.</summary>
    /// <exception cref="WorkflowException">Nobody said what this server's address is.</exception>
    public string ApprovalUrl(string tenant, string id) => $"{BaseUrl}/app/open?t={_approvals.Protect(JsonSerializer.Serialize(new[] { tenant, id }))}";

    /// <summary>The approval that a link is to; null when it is none of ours.</summary>
    public (string Tenant, string Id)? ReadApproval(string token) => Unprotect(_approvals, token) is [var tenant, var id] ? (tenant, id) : null;

    /// <summary>The address of a link with a proof.</summary>
    /// <exception cref="WorkflowException">Nobody said what this server's address is.</exception>
    public string Url(string path, string token) => $"{BaseUrl}{ElsaApi.Prefix}/{path}?t={token}";

    /// <summary>The event that a proof is for; null when it is none, or no longer.</summary>
    public (string Tenant, string EventName)? ReadEvent(string token) => Unprotect(_events, token) is [var tenant, var name] ? (tenant, name) : null;

    /// <summary>The bookmark that a proof is for; null when it is none, or no longer.</summary>
    public (string Tenant, string InstanceId, int Bookmark)? ReadBookmark(string token) =>
        Unprotect(_bookmarks, token) is [var tenant, var id, var text] && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? (tenant, id, number)
            : null;

    /// <summary>Reads until when a link is to work.</summary>
    /// <exception cref="WorkflowException">It is neither a time span nor a time.</exception>
    public static DateTimeOffset ReadLimit(JsonElement limit)
    {
        if (limit.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return DateTimeOffset.MaxValue;
        if (limit.ValueKind == JsonValueKind.String)
        {
            if (TimeSpan.TryParse(limit.GetString(), CultureInfo.InvariantCulture, out var lifetime))
                return DateTimeOffset.UtcNow + lifetime;
            if (limit.TryGetDateTimeOffset(out var time))
                return time;
        }

        throw new WorkflowException("link.bad_lifetime", $"'{limit}' is neither a time span such as 1.12:00:00 nor a time such as 2026-01-31T10:00:00Z.") { IsPermanent = true };
    }

    private string BaseUrl => (options.PublicUrl ?? server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault())?.TrimEnd('/')
        ?? throw new WorkflowException("link.no_address", "This server does not know its address. Set PublicUrl to the one that people reach it at.");

    private static string Protect(ITimeLimitedDataProtector protector, JsonElement limit, params string[] parts) =>
        protector.Protect(JsonSerializer.Serialize(parts), ReadLimit(limit));

    private static string[]? Unprotect(IDataProtector protector, string token)
    {
        try
        {
            return JsonSerializer.Deserialize<string[]>(protector.Unprotect(token));
        }
        catch (Exception exception) when (exception is CryptographicException or FormatException or JsonException)
        {
            return null;
        }
    }
}
