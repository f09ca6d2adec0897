using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Conclave.Server.Accounts.Pages;

/// <summary>Answers with pages.</summary>
internal static class Page
{
    /// <summary>Where people go who did not want to go anywhere else.</summary>
    public const string Home = "/account";

    /// <summary>Answers with a page.</summary>
    public static IResult Render<TComponent>(Dictionary<string, object?> parameters, int status = 200)
        where TComponent : IComponent => new Result(new RazorComponentResult<TComponent>(parameters) { StatusCode = status });

    /// <summary>Answers with a page that only says something.</summary>
    public static IResult Message(string title, string text, int status, string? link = null, string? linkText = null) => Render<MessagePage>(
        new() { [nameof(MessagePage.Title)] = title, [nameof(MessagePage.Text)] = text, [nameof(MessagePage.Link)] = link, [nameof(MessagePage.LinkText)] = linkText },
        status);

    /// <summary>Goes on to a place within this server; to <see cref="Home"/> when it is elsewhere or nowhere.</summary>
    public static IResult GoTo(string? url) => TypedResults.LocalRedirect(RedirectHttpResult.IsLocalUrl(url) ? url! : Home);

    /// <summary>A field of a form as text.</summary>
    public static string Text(this IFormCollection form, string name) => form[name].ToString();

    /// <summary>All values of a field.</summary>
    public static IReadOnlyList<string> Texts(this IFormCollection form, string name) => [.. form[name].OfType<string>().Distinct()];

    private sealed class Result(IResult page) : IResult
    {
        public Task ExecuteAsync(HttpContext context)
        {
            var headers = context.Response.Headers;
            headers.ContentSecurityPolicy =
                "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'self'";
            headers.XContentTypeOptions = "nosniff";
            // Links with tokens must not go elsewhere; forms still say that they are ours.
            headers["Referrer-Policy"] = "same-origin";
            // As the forms' tokens set them; they warn of anything else.
            headers.CacheControl = "no-cache, no-store";
            headers.Pragma = "no-cache";
            return page.ExecuteAsync(context);
        }
    }
}
