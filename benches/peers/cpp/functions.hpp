// The functions of ../../scalars/suite.rs over any number, as users of operators write them: of a point and of data.

#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

using Data = std::vector<double>;

struct Seed {
    template <class T> T operator()(const std::vector<T>& x, const Data& d) const {
        T t = x[2] * (x[0] * d[0] + x[1]) + x[3] - d[1];
        return t * t;
    }
};

struct Rosenbrock {
    template <class T> T operator()(const std::vector<T>& x, const Data&) const {
        T sum = 0.0;
        for (std::size_t i = 0; i + 1 < x.size(); i++) {
            T t = x[i + 1] - x[i] * x[i], u = 1.0 - x[i];
            sum += 100.0 * (t * t) + u * u;
        }
        return sum;
    }
};

struct Mlp {
    template <class T> T operator()(const std::vector<T>& p, const Data& d) const {
        constexpr std::size_t width = 16, b1 = 2 * width, w2 = b1 + width, b2 = w2 + width * width, w3 = b2 + width;
        T sum = 0.0;
        for (std::size_t s = 0; s < d.size(); s += 3) {
            std::array<T, width> h;
            for (std::size_t i = 0; i < width; i++) h[i] = tanh(p[2 * i] * d[s] + p[2 * i + 1] * d[s + 1] + p[b1 + i]);
            T out = p[w3 + width] - d[s + 2];
            for (std::size_t i = 0; i < width; i++) {
                T sum = p[b2 + i];
                for (std::size_t j = 0; j < width; j++) sum += p[w2 + width * i + j] * h[j];
                out += p[w3 + i] * tanh(sum);
            }
            sum += out * out;
        }
        return sum / (d.size() / 3.0);
    }
};

struct Normal {
    template <class T> T operator()(const std::vector<T>& x, const Data& d) const {
        T sum = 0.0;
        for (double y : d) {
            T z = (y - x[0]) / x[1];
            sum += -0.5 * (z * z) - log(x[1]) - 0.9189385332046727;
        }
        return sum;
    }
};

struct Matmul {
    template <class T> T operator()(const std::vector<T>& x, const Data&) const {
        constexpr std::size_t n = 64;
        T total = 0.0;
        for (std::size_t i = 0; i < n; i++)
            for (std::size_t j = 0; j < n; j++) {
                T entry = x[n * i] * x[n * n + j];
                for (std::size_t k = 1; k < n; k++) entry += x[n * i + k] * x[n * n + n * k + j];
                total += entry;
            }
        return total;
    }
};

struct Burgers {
    template <class T> T operator()(const std::vector<T>& x, const Data&) const {
        const std::size_t n = x.size();
        const double dt = 1e-4, dx = 1.0 / n, advection = dt / (2 * dx), diffusion = 1e-2 * dt / (dx * dx);
        std::vector<T> u = x, next(n);
        for (int step = 0; step < 100; step++) {
            for (std::size_t i = 0; i < n; i++) {
                const T &left = u[i == 0 ? n - 1 : i - 1], &right = u[i + 1 == n ? 0 : i + 1];
                next[i] = u[i] - advection * u[i] * (right - left) + diffusion * (right - 2.0 * u[i] + left);
            }
            u.swap(next);
        }
        T sum = 0.0;
        for (const T& v : u) sum += v * v;
        return sum;
    }
};

struct BlackScholes {
    template <class T> static T normal_cdf(const T& x) {
        if constexpr (requires { erfc(x); })
            return 0.5 * erfc(-x * M_SQRT1_2);
        else
            return 0.5 * (1.0 + erf(x * M_SQRT1_2));
    }

    template <class T> T operator()(const std::vector<T>& x, const Data&) const {
        T sum = 0.0;
        for (std::size_t i = 0; i < x.size(); i += 5) {
            const T &s = x[i], &k = x[i + 1], &t = x[i + 2], &r = x[i + 3], &sigma = x[i + 4];
            T sd = sigma * sqrt(t);
            T d1 = (log(s / k) + (r + 0.5 * sigma * sigma) * t) / sd;
            sum += s * normal_cdf(d1) - k * exp(-r * t) * normal_cdf<T>(d1 - sd);
        }
        return sum;
    }
};
