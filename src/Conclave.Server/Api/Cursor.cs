using System.Globalization;
using System.Text;

namespace Conclave.Server.Api;

/// <summary>Places in lists that are sorted by time, as the texts that clients give back.</summary>
internal static class Cursor
{
    /// <summary>The text of a place: a time, and what tells items of one time apart.</summary>
    public static string Of(DateTimeOffset time, string id) =>
        Convert.ToBase64String(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{time.UtcTicks}/{id}"))).Replace('+', '-').Replace('/', '_').TrimEnd('=');

    /// <summary>The place of a text; null for none.</summary>
    /// <exception cref="ApiException">The text is none that <see cref="Of"/> made.</exception>
    public static (DateTimeOffset Time, string Id)? Read(string? text)
    {
        if (text is null)
            return null;
        var padded = text.Replace('-', '+').Replace('_', '/') + new string('=', (4 - (text.Length % 4)) % 4);
        var bytes = new byte[padded.Length];
        if (Convert.TryFromBase64String(padded, bytes, out var length)
            && Encoding.UTF8.GetString(bytes, 0, length).Split('/', 2) is [var ticks, var id]
            && long.TryParse(ticks, NumberStyles.None, CultureInfo.InvariantCulture, out var time) && time <= DateTime.MaxValue.Ticks)
            return (new DateTimeOffset(time, TimeSpan.Zero), id);
        throw Bad();
    }

    public static ApiException Bad() => ApiException.Bad("'cursor' must be what 'next' said.");
}
