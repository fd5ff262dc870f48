-- Shared: the time as RQ writes it. Days are counted from the first of March, so that a
-- leap day is the last of its year; 719468 of them are before 1970, 146097 in four
-- centuries. The calendar is that of H. Hinnant, "chrono-Compatible Low-Level Date
-- Algorithms", civil_from_days.
local function moment(seconds, micros)
  local floor = math.floor
  local days, rest = floor(seconds / 86400) + 719468, seconds % 86400
  local era = floor(days / 146097)
  local day = days - era * 146097
  local year = floor((day - floor(day / 1460) + floor(day / 36524)
    - floor(day / 146096)) / 365)
  day = day - (365 * year + floor(year / 4) - floor(year / 100))
  local month = floor((5 * day + 2) / 153)
  local day_of_month = day - floor((153 * month + 2) / 5) + 1
  year = year + 400 * era + (month > 9 and 1 or 0)
  month = month > 9 and month - 9 or month + 3
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%06dZ', year, month,
    day_of_month, floor(rest / 3600), floor(rest / 60) % 60, rest % 60, micros)
end

