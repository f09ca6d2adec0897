using System.Collections.Concurrent;
using System.Security.Claims;
using System.Text.Json;

namespace Conclave.Server.ElsaApi.Hub;

/// <summary>
/// Lets a connection in that was negotiated with a key. Browsers cannot send a key with a socket: the token that the negotiation gave, which nobody can guess and which
/// works for a minute, stands for the one who negotiated.
/// </summary>
internal sealed class HubTokens(TimeProvider time)
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, (ClaimsPrincipal User, long Until)> _tokens = new(StringComparer.Ordinal);

    /// <summary>Comes after authentication and before authorization.</summary>
    public async Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        var isKnown = context.User.Identity?.IsAuthenticated == true;
        if (!isKnown && Find(context.Request.Query["id"].ToString()) is { } user)
            context.User = user;
        if (isKnown && HttpMethods.IsPost(context.Request.Method) && context.Request.Path.Value?.EndsWith("/negotiate", StringComparison.OrdinalIgnoreCase) == true)
            await NegotiateAsync(context, next);
        else
            await next(context);
    }

    private async Task NegotiateAsync(HttpContext context, RequestDelegate next)
    {
        var body = context.Response.Body;
        using var answer = new MemoryStream();
        context.Response.Body = answer;
        try
        {
            await next(context);
        }
        finally
        {
            context.Response.Body = body;
        }

        if (context.Response.StatusCode == StatusCodes.Status200OK && TokenIn(answer) is { } token)
            Remember(token, context.User);
        answer.Position = 0;
        await answer.CopyToAsync(body, context.RequestAborted);
    }

    private static string? TokenIn(MemoryStream answer)
    {
        try
        {
            var json = JsonElement.Parse(answer.ToArray());
            return json.TryGetProperty("connectionToken", out var token) || json.TryGetProperty("connectionId", out token) ? token.GetString() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void Remember(string token, ClaimsPrincipal user)
    {
        var now = time.GetTimestamp();
        foreach (var old in _tokens)
        {
            if (old.Value.Until < now)
                _tokens.TryRemove(old);
        }

        _tokens[token] = (user, now + (long)(Lifetime.TotalSeconds * time.TimestampFrequency));
    }

    private ClaimsPrincipal? Find(string token) => _tokens.TryGetValue(token, out var known) && known.Until >= time.GetTimestamp() ? known.User : null;
}
