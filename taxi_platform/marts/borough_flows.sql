-- title: Trips from borough to borough
-- description: Where trips went; how many began in one borough and ended in another. Boroughs are the zone lookup's.
-- grain: [dataset, source_month, pickup_borough, dropoff_borough]
-- columns:
--   - {name: dataset, type: string, description: The dataset the trips are of.}
--   - {name: source_month, type: date, description: First day of the month of the file the trips came from.}
--   - {name: pickup_borough, type: string, description: Where they began; Unknown where no zone was published.}
--   - {name: dropoff_borough, type: string, description: Where they ended; Unknown where no zone was published.}
--   - {name: trips, type: int64, description: How many there were.}
--   - {name: distance, type: float64, unit: miles, description: How far they went; null where no distance is published.}
-- conserved: {trips: count(*), distance: sum(trip_distance)}
SELECT
    trips.dataset AS dataset,
    trips.source_month AS source_month,
    coalesce(origins.borough, 'Unknown') AS pickup_borough,
    coalesce(targets.borough, 'Unknown') AS dropoff_borough,
    count(*) AS trips,
    sum(trips.trip_distance) AS distance
FROM trips
LEFT JOIN zones AS origins ON origins.location_id = trips.pickup_location_id
LEFT JOIN zones AS targets ON targets.location_id = trips.dropoff_location_id
GROUP BY
    trips.dataset,
    trips.source_month,
    coalesce(origins.borough, 'Unknown'),
    coalesce(targets.borough, 'Unknown')
