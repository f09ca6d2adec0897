using System.Globalization;
using System.Text.Json;
using Conclave.Workflows.Runtime.Definitions;
using Conclave.Workflows.Runtime.Timers;

namespace Conclave.Tests.Runtime.Timers;

public sealed class NextFireTests
{
    private static readonly DateTimeOffset Noon = At("2026-03-01T12:00:00Z");

    [Fact]
    public void OfTimer_OnTime_IsOneIntervalLater() =>
        Assert.Equal(Noon.AddMinutes(5), NextFire.OfTimer(TimeSpan.FromMinutes(5), Noon, Noon.AddMilliseconds(20)));

    [Fact]
    public void OfTimer_ManyMissed_IsTheNextPointOfTheSameGrid() =>
        Assert.Equal(Noon.AddMinutes(65), NextFire.OfTimer(TimeSpan.FromMinutes(5), Noon, Noon.AddMinutes(63)));

    [Fact]
    public void OfTimer_NowIsAPointOfTheGrid_IsTheOneAfter() =>
        Assert.Equal(Noon.AddMinutes(65), NextFire.OfTimer(TimeSpan.FromMinutes(5), Noon, Noon.AddMinutes(60)));

    [Fact]
    public void OfTimer_ClockSetBack_NeverRepeatsATime() =>
        Assert.Equal(Noon.AddMinutes(5), NextFire.OfTimer(TimeSpan.FromMinutes(5), Noon, Noon.AddHours(-1)));

    [Fact]
    public void OfTimer_TinyInterval_PassesOverWhatCannotBeReached()
    {
        Assert.Equal(Noon.AddMilliseconds(251), NextFire.OfTimer(TimeSpan.FromMilliseconds(1), Noon, Noon.AddMilliseconds(250)));
        Assert.Equal(Noon.AddHours(1).AddTicks(1), NextFire.OfTimer(TimeSpan.FromTicks(1), Noon, Noon.AddHours(1)));
    }

    [Fact]
    public void OfTimer_HugeInterval_EndsWithTheCalendar()
    {
        Assert.Equal(Noon.AddYears(4), NextFire.OfTimer(Noon.AddYears(4) - Noon, Noon, Noon));
        Assert.Null(NextFire.OfTimer(TimeSpan.MaxValue, Noon, Noon));
        Assert.Null(NextFire.OfTimer(TimeSpan.FromDays(1), DateTimeOffset.MaxValue.AddHours(-1), Noon));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void OfTimer_NoInterval_IsRefused(long ticks) =>
        Assert.Throws<FormatException>(() => NextFire.OfTimer(TimeSpan.FromTicks(ticks), Noon, Noon));

    [Fact]
    public void OfTimer_OtherOffset_StaysOnTheGridInUtc()
    {
        var next = NextFire.OfTimer(TimeSpan.FromHours(1), Noon.ToOffset(TimeSpan.FromHours(5)), Noon);

        Assert.Equal((Noon.AddHours(1), TimeSpan.Zero), (next!.Value, next.Value.Offset));
    }

    [Fact]
    public void OfCron_ManyMissed_IsTheNextAfterNow() =>
        Assert.Equal(At("2026-03-03T06:00:00Z"), NextFire.OfCron("0 0 6 * * *", At("2026-02-20T06:00:00Z"), At("2026-03-02T07:00:00Z")));

    [Fact]
    public void OfCron_ClockSetBack_NeverRepeatsATime() =>
        Assert.Equal(Noon.AddSeconds(1), NextFire.OfCron("* * * * * *", Noon, Noon.AddHours(-2)));

    [Fact]
    public void OfCron_LeapDay_WaitsForTheNextLeapYear() =>
        Assert.Equal(At("2028-02-29T00:00:00Z"), NextFire.OfCron("0 0 0 29 2 *", At("2024-02-29T00:00:00Z"), At("2026-01-01T00:00:00Z")));

    [Fact]
    public void OfCron_ThirtiethOfFebruary_IsNever() => Assert.Null(NextFire.OfCron("0 0 0 30 2 *", Noon, Noon));

    /// <summary>Each day at half past two, on the nights when local clocks skip that hour or show it twice.</summary>
    [Theory]
    [InlineData("Europe/Berlin", "2026-03-28", "2026-03-31")]
    [InlineData("Europe/Berlin", "2026-10-24", "2026-10-27")]
    [InlineData("America/New_York", "2026-03-07", "2026-03-10")]
    [InlineData("America/New_York", "2026-10-31", "2026-11-03")]
    public void OfCron_ClocksChange_FiresOnceEachDayInUtc(string zone, string from, string to)
    {
        var (time, end) = (At($"{from}T00:00:00Z"), At($"{to}T00:00:00Z"));
        var offsets = new HashSet<TimeSpan>();
        var fired = new List<DateTimeOffset>();
        while (NextFire.OfCron("0 30 2 * * *", time, time) is { } next && next < end)
        {
            fired.Add(time = next);
            offsets.Add(TimeZoneInfo.FindSystemTimeZoneById(zone).GetUtcOffset(next));
        }

        Assert.Equal(3, fired.Count);
        Assert.All(fired, t => Assert.Equal(new TimeOnly(2, 30), TimeOnly.FromTimeSpan(t.TimeOfDay)));
        // The local time is another one after the change, which is what UTC means.
        Assert.Equal(2, offsets.Count);
    }

    [Theory]
    [InlineData("Europe/Berlin", "2026-10-25T00:00:00Z")]
    [InlineData("America/New_York", "2026-11-01T04:00:00Z")]
    [InlineData("Europe/Berlin", "2026-03-29T00:00:00Z")]
    public void OfCron_EachHourWhileClocksChange_IsNeverSkippedNorDoubled(string zone, string from)
    {
        var local = TimeZoneInfo.ConvertTime(At(from), TimeZoneInfo.FindSystemTimeZoneById(zone));
        var time = local;
        for (var hour = 1; hour <= 6; hour++)
        {
            time = NextFire.OfCron("0 0 * * * *", time, time)!.Value;
            Assert.Equal(local.AddHours(hour), time);
        }
    }

    [Fact]
    public void OfStartAt_PastWhenPublished_IsNever()
    {
        Assert.Null(NextFire.OfStartAt(Noon, Noon));
        Assert.Null(NextFire.OfStartAt(Noon.AddTicks(-1), Noon));
        Assert.Equal(Noon, NextFire.OfStartAt(Noon, Noon.AddSeconds(-1)));
    }

    [Fact]
    public void First_NothingCouldFireItForDays_IsTheFirstMissedTime()
    {
        Assert.Equal(Noon.AddHours(1), NextFire.First(Trigger("Elsa.Timer", """{ "Interval": "01:00:00" }"""), Noon));
        Assert.Equal(Noon.AddDays(1).AddHours(-6), NextFire.First(Trigger("Elsa.Cron", """{ "CronExpression": "0 0 6 * * *" }"""), Noon));
        Assert.Equal(Noon.AddHours(3), NextFire.First(Trigger("Elsa.StartAt", """{ "ExecuteAt": "2026-03-01T16:00:00+01:00" }"""), Noon));
    }

    [Fact]
    public void After_StartAt_IsNever() =>
        Assert.Null(NextFire.After(Trigger("Elsa.StartAt", """{ "ExecuteAt": "2026-03-01T16:00:00Z" }"""), Noon, Noon));

    [Theory]
    [InlineData("Elsa.Timer", """{ "Interval": "soon" }""")]
    [InlineData("Elsa.Timer", "{}")]
    [InlineData("Elsa.Cron", """{ "CronExpression": "every day" }""")]
    [InlineData("Elsa.StartAt", """{ "ExecuteAt": 5 }""")]
    public void First_SenselessPayload_IsRefused(string name, string payload) =>
        Assert.Throws<FormatException>(() => NextFire.First(Trigger(name, payload), Noon));

    [Fact]
    public void InstanceId_SameTimeInAnotherOffset_IsTheSame()
    {
        var id = TimerKeys.InstanceId("acme", "v1", "tick", Noon);

        Assert.Equal(id, TimerKeys.InstanceId("acme", "v1", "tick", Noon.ToOffset(TimeSpan.FromHours(2))));
        Assert.NotEqual(id, TimerKeys.InstanceId("acme", "v1", "tick", Noon.AddTicks(1)));
        Assert.NotEqual(id, TimerKeys.InstanceId("other", "v1", "tick", Noon));
    }

    [Fact]
    public void WorkflowOf_DefinitionIdWithColon_IsReadBack() =>
        Assert.Equal(("acme", "a:b/c"), TimerKeys.WorkflowOf(TimerKeys.Start(Trigger("Elsa.Timer", "{}") with { DefinitionId = "a:b/c" })));

    private static WorkflowTrigger Trigger(string name, string payload) =>
        new("acme", "flow", "v1", "tick", name, [1, 2, 3], JsonElement.Parse(payload), null);

    private static DateTimeOffset At(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
}
