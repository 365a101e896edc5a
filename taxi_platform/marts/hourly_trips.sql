-- title: Trips by hour of the week
-- description: When people take taxis; how many trips began in each hour of each weekday, and how fast they went.
-- grain: [dataset, source_month, weekday, hour]
-- columns:
--   - {name: dataset, type: string, description: The dataset the trips are of.}
--   - {name: source_month, type: date, description: First day of the month of the file the trips came from.}
--   - {name: weekday, type: int32, description: Day of the week they began on; 0 is Monday.}
--   - {name: hour, type: int32, description: Hour of the day they began in; 0 to 23.}
--   - {name: trips, type: int64, description: How many there were.}
--   - {name: distance, type: float64, unit: miles, description: How far they went; null where no distance is published.}
--   - {name: minutes, type: float64, unit: minutes, description: How long they took.}
-- conserved: {trips: count(*), distance: sum(trip_distance)}
SELECT
    dataset,
    source_month,
    -- 1900-01-01 was a Monday, and no taxi was on the road before.
    CAST(mod(date_diff('day', DATE '1900-01-01', CAST(pickup_datetime AS DATE)), 7) AS INTEGER) AS weekday,
    CAST(extract(hour FROM pickup_datetime) AS INTEGER) AS hour,
    count(*) AS trips,
    sum(trip_distance) AS distance,
    sum(date_diff('second', pickup_datetime, dropoff_datetime) / 60.0) AS minutes
FROM trips
GROUP BY
    dataset,
    source_month,
    CAST(mod(date_diff('day', DATE '1900-01-01', CAST(pickup_datetime AS DATE)), 7) AS INTEGER),
    CAST(extract(hour FROM pickup_datetime) AS INTEGER)
